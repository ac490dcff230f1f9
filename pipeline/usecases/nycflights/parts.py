"""Parts of the estimators that both use cases share. scikit-learn is imported when one is built, not before."""

from __future__ import annotations

from typing import Any

from pipeline.usecases.nycflights.features import NUMBERS, WORDS

#: A word seen on fewer flights than this is an "infrequent" one, as are words never seen.
RARE = 50
#: The rule's own word; a model finds carrier and hour by itself.
_WORDS = [word for word in WORDS if word != "carrier_hour"]


def _numbered() -> Any:
    import numpy as np
    from sklearn.preprocessing import OrdinalEncoder

    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)


def rule(tree: Any) -> Any:
    """One number for each carrier and scheduled hour, as somebody would with a spreadsheet.

    ``tree`` splits the list "9E 06, 9E 07 … YV 21" into runs, so hours with few flights share the number of the hours
    next to them. A carrier or hour never seen falls to the larger side of each split.
    """
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline

    return make_pipeline(make_column_transformer((_numbered(), ["carrier_hour"])), tree)


def linear(last: Any) -> Any:
    """Words one-hot, numbers by their rank in the window, then a linear model.

    Ranks (as normal scores) keep a faulty 1,048 mph of wind and a delay of a day within reach of all others.
    """
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, QuantileTransformer

    # A number that is nowhere known in the window (gusts, in a calm fortnight) keeps its column all the same.
    known = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    ranks = QuantileTransformer(n_quantiles=100, output_distribution="normal", random_state=0)
    words = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=RARE)
    return make_pipeline(make_column_transformer((words, _WORDS), (make_pipeline(known, ranks), list(NUMBERS))), last)


def trees(last: Any) -> Any:
    """Words as ordinals, an unknown one as missing; numbers as they are, missing ones too."""
    from sklearn.compose import make_column_transformer
    from sklearn.feature_selection import VarianceThreshold
    from sklearn.pipeline import make_pipeline

    columns = make_column_transformer((_numbered(), _WORDS), ("passthrough", list(NUMBERS)))
    # A column that is nowhere known in the window can't be cut into bins.
    return make_pipeline(columns, VarianceThreshold(), last)

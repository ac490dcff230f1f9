"""Parts of the estimators that both use cases share. scikit-learn is imported when one is built, not before."""

from __future__ import annotations

from typing import Any

from pipeline.usecases.nycflights.features import NUMBERS, WORDS

#: A word seen on fewer flights than this is an "infrequent" one, as are words never seen.
RARE = 50
#: A word less: trees find carrier and hour by themselves.
_TREE_WORDS = [word for word in WORDS if word != "carrier_hour"]


def _one_hot() -> Any:
    from sklearn.preprocessing import OneHotEncoder

    return OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=RARE)


def rule(last: Any) -> Any:
    """By carrier and scheduled hour only, as somebody would with a spreadsheet."""
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline

    return make_pipeline(make_column_transformer((_one_hot(), ["carrier_hour"])), last)


def linear(last: Any) -> Any:
    """Words one-hot, numbers cut into eight equally filled classes, then a linear model."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import KBinsDiscretizer

    classes = KBinsDiscretizer(
        n_bins=8, encode="onehot", quantile_method="averaged_inverted_cdf", subsample=None
    )
    # A number that is nowhere known in the window (gusts, in a calm fortnight) keeps its column all the same.
    known = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    numbers = make_pipeline(known, classes)
    return make_pipeline(make_column_transformer((_one_hot(), list(WORDS)), (numbers, list(NUMBERS))), last)


def trees(last: Any) -> Any:
    """Words as ordinals, an unknown one as missing; numbers as they are, missing ones too."""
    import numpy as np
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    words = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    return make_pipeline(make_column_transformer((words, _TREE_WORDS), ("passthrough", list(NUMBERS))), last)

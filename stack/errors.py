"""What goes wrong with a stack, said in a sentence."""


class StackError(Exception):
    """A reason, and the way out, in words a person can act on."""

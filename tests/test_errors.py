import pytest

from serkit.errors import UserError, unknown


@pytest.mark.parametrize(
    ("name", "available", "message"),
    [
        ("emdb", ["savee", "emodb"], "unknown corpus 'emdb'. Did you mean 'emodb'? Available: emodb, savee"),
        ("zzz", ["savee", "emodb"], "unknown corpus 'zzz'. Available: emodb, savee"),
        ("emodb", [], "unknown corpus 'emodb'. Available: none"),
    ],
)
def test_an_unknown_name_is_told_with_those_that_exist(name, available, message):
    error = unknown("corpus", name, iter(available))
    assert isinstance(error, UserError)
    assert str(error) == message

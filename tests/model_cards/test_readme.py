"""README's table is what the release's results say."""

import json

import pytest

from model_cards import readme
from retrieval.errors import InputError


def test_a_figure_that_the_results_do_not_have_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["readme", "--check"])
    readme.main()
    text = readme.README.read_text()
    monkeypatch.setattr(readme, "README", tmp_path / "README.md")
    readme.README.write_text(text.replace("| student | 0.3", "| student | 0.4"))
    assert readme.README.read_text() != text
    with pytest.raises(InputError, match=r"table is not what docs/results/quickstart\.json says"):
        readme.main()


def test_a_quick_look_does_not_become_the_release(tmp_path):
    record = json.loads(readme.RESULTS.read_text()) | {"num_queries": 10, "num_judged": 159}
    (tmp_path / "results.json").write_text(json.dumps([record]))
    with pytest.raises(InputError, match="measured 10 of 159 queries"):
        readme.take_over(tmp_path / "results.json")

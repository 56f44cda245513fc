from ntklab.tasks.spec import PromptSpec


def test_a_fetched_model_is_named_by_its_folder(tmp_path, monkeypatch):
    """A record keeps the last part of a path: of a file it would name the quantization alone."""
    file = tmp_path / "smollm2-135m" / "model.Q4_1.gguf"
    file.parent.mkdir()
    file.touch()
    monkeypatch.setattr("ntklab.tasks.wikitext.default_model", lambda: str(file))
    assert PromptSpec().resolved().model == str(file.parent)
    monkeypatch.setattr("ntklab.tasks.wikitext.default_model", lambda: "gpt2")
    assert PromptSpec().resolved().model == "gpt2"
    assert PromptSpec(model="mine").resolved().model == "mine"

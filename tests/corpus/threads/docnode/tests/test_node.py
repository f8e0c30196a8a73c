import docnode
import pytest


def test_render():
    page = docnode.Node("page")
    page.append(docnode.Node("title")).attributes["lang"] = "en"
    assert docnode.render(page) == '<page>\n  <title lang="en">'


def test_attributes():
    node = docnode.Node("a")
    node.attributes = {"x": "1"}
    assert node.attributes == {"x": "1"}
    del node.attributes
    assert node.attributes == {}


def test_tag():
    with pytest.raises(ValueError):
        docnode.Node("not a tag")

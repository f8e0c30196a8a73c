"""Nodes of a document tree."""

from docnode._node import Node

__all__ = ["Node", "render"]


def render(node, indent=0):
    """A node and its children as indented lines."""
    attributes = "".join(f' {name}="{value}"' for name, value in sorted(node.attributes.items()))
    lines = [f"{' ' * indent}<{node.tag}{attributes}>"]
    for child in node.children:
        lines.extend(render(child, indent + 2).splitlines())
    return "\n".join(lines)

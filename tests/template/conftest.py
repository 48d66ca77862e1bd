import pytest

from local_stack.template import Template


@pytest.fixture(scope="session")
def template() -> Template:
    """The template as it is deployed when nothing is chosen."""
    return Template.load()

import os
import pwd

import pytest

from builder.host.actor import find_actor


@pytest.mark.parametrize(
    ("environment", "actor"),
    [
        ({"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "octo"}, "octo"),
        ({"GITLAB_CI": "true", "GITLAB_USER_LOGIN": "tanuki"}, "tanuki"),
        ({"GITHUB_ACTOR": "left-over"}, None),
        ({"GITLAB_CI": "true"}, None),
        ({"USER": "anybody-says-so"}, None),
    ],
)
def test_a_ci_system_names_who_started_it_and_else_the_system_does(
    environment: dict[str, str], actor: str | None
):
    assert find_actor(environment) == (actor or pwd.getpwuid(os.getuid()).pw_name)


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_001)
    assert find_actor({}) == "4000000001"

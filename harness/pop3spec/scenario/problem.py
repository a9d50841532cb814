"""What is wrong in a scenario, and where."""

from pop3spec.yamlfile import YamlError

ScenarioError = YamlError


class Problem(Exception):
    """What is wrong, and the keys and indices that lead to it."""

    def __init__(self, text: str, *path: str | int) -> None:
        super().__init__(text)
        self.text = text
        self.path = path

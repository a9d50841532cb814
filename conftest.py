pytest_plugins = ["pop3spec.plugin"]

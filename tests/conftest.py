"""How Hypothesis runs in all tests."""

from hypothesis import Phase, settings

# The phase that explains a failure traces every line of every example, ten times as slow.
settings.register_profile("quick", phases=[phase for phase in Phase if phase is not Phase.explain])
settings.load_profile("quick")

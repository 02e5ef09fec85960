"""A pytest plugin for mutants: a failing property is not shrunk, nobody reads the example."""

from hypothesis import Phase, settings

settings.register_profile(
    "mutants",
    phases=(Phase.explicit, Phase.generate),
    database=None,
    deadline=None,
    derandomize=True,
)
settings.load_profile("mutants")

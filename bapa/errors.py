"""Errors.

BapaError
├── ConfigError                 a bad option, name or value
│   └── SchemeError             an unknown scheme, or an option it does not take
├── ModelError                  a model that cannot be loaded or run
│   ├── UnsupportedModelError   a model whose image positions cannot be balanced
│   └── NotBalancedError        a model that should run under a scheme and does not
├── ProbeError                  a probe or its source
├── RunError                    a run folder, a resumed run, a measurement
└── IntegrationError            a missing extra or an outside tool
"""

from __future__ import annotations


class BapaError(Exception):
    """Base of every error meant for users: one line that says what was found, what is accepted and what to type."""


class ConfigError(BapaError):
    """A bad option, name or value."""


class SchemeError(ConfigError):
    """An unknown scheme, or an option it does not take."""


class ModelError(BapaError):
    """A model that cannot be loaded or run."""


class UnsupportedModelError(ModelError):
    """A model whose image positions cannot be balanced."""


class NotBalancedError(ModelError):
    """A model that should run under a scheme and does not."""


class ProbeError(BapaError):
    """A probe or its source."""


class RunError(BapaError):
    """A run folder, a resumed run, a measurement."""


class IntegrationError(BapaError):
    """A missing extra or an outside tool."""

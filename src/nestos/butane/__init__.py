"""Butane: a config for people, translated to an Ignition config.

Pure but for the local files that a config embeds, which are read below the folder that the caller allows. The
result is not checked against Ignition's rules here; ``translate`` takes that check as a parameter.
"""

from nestos.butane.translation import Translation, translate
from nestos.butane.variants import VARIANTS

__all__ = ["VARIANTS", "Translation", "translate"]

"""The Hugging Face Hub as a place for artifacts (SPEC.md, annex S.2).

huggingface_hub, which the extra `hub` brings, does the transfer; it is imported when it is first used.
"""

from __future__ import annotations

from etui.bridges.hub.pulling import Pulled, pull
from etui.bridges.hub.pushing import Pushed, push

__all__ = ["Pulled", "Pushed", "pull", "push"]

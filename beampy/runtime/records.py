"""The records of behaviours that the codec writes in a short form, by numbers that never change: see wire/CODEC.md."""

from __future__ import annotations

from beampy.core.request import Failed
from beampy.otp.messages import Call, Cast, Method, System
from beampy.wire.codec import register_record

register_record(16, Call)
register_record(17, Cast)
register_record(18, Method)
register_record(19, System)
register_record(20, Failed)

"""The records of behaviours that the codec writes in a short form, by numbers that never change: see wire/CODEC.md."""

from __future__ import annotations

from beampy.core.bundles import Bundle
from beampy.core.group_leader import Record, Report, Text
from beampy.core.request import Failed
from beampy.otp import rpc_server
from beampy.otp.messages import Call, Cast, Method, System
from beampy.wire.codec import register_record

register_record(16, Call)
register_record(17, Cast)
register_record(18, Method)
register_record(19, System)
register_record(20, Failed)
register_record(21, rpc_server.Call)
register_record(22, rpc_server.Cast)
register_record(23, rpc_server.Cancel)
register_record(24, rpc_server.More)
register_record(25, rpc_server.Left)
register_record(26, rpc_server.Unreadable)
register_record(27, rpc_server.Ask)
register_record(12, Bundle)
register_record(13, Report)
register_record(14, Text)
register_record(15, Record)

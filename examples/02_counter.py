"""A server with state: typed calls, a deadline, and what happens when it crashes.

python examples/02_counter.py
"""

from __future__ import annotations

import asyncio
import logging

import beampy as bp


class Account(bp.Server):
    """Money that only its own process touches."""

    def __init__(self, balance: int = 0) -> None:
        self.balance = balance

    @bp.call(raises=ValueError)
    async def withdraw(self, amount: int) -> int:
        if amount > self.balance:
            raise ValueError(f"only {self.balance} left")
        self.balance -= amount
        return self.balance

    @bp.call
    async def interest(self, days: int) -> float:
        return self.balance / days  # a bug waits for days=0

    @bp.call
    async def audit(self) -> str:
        await asyncio.sleep(60)
        return "all is well"

    @bp.cast
    def deposit(self, amount: int) -> None:
        self.balance += amount


async def main() -> None:
    account = await Account.start(100, name="account")

    account.deposit(50)
    print("after a withdrawal:", await account.withdraw(30))

    try:
        await account.withdraw(1000)
    except ValueError as error:  # announced with raises=: the server goes on
        print("refused:", error)

    try:
        await account.options(timeout=0.05).audit()
    except TimeoutError:
        print("the audit takes too long")

    account = await Account.start(7)
    try:
        await account.interest(0)
    except ZeroDivisionError as error:  # a bug: the caller gets it, the server ends
        print("a bug:", error)
    try:
        await account.withdraw(1)
    except bp.errors.NoProcess:
        print("its server is gone; the next example has a supervisor start a new one")


if __name__ == "__main__":
    logging.disable()  # the crash report of the bug, which would be printed here
    bp.run(main)

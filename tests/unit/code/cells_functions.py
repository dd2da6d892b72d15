"""Cells with functions and values. Each has a function `check`, which gives the same in both processes."""

from __future__ import annotations

FUNCTIONS = {
    "function": "def check(): return [n * n for n in range(4)]",
    "recursion": """
        def fact(n): return 1 if n < 2 else n * fact(n - 1)
        def check(): return fact(6)
        """,
    "mutual recursion": """
        def even(n): return n == 0 or odd(n - 1)
        def odd(n): return n != 0 and even(n - 1)
        def check(): return even(10), odd(10)
        """,
    "a cycle through data": """
        HANDLERS = {}
        def one(n): return HANDLERS["two"](n) + 1
        def two(n): return 10 * n if n > 5 else HANDLERS["one"](n + 1)
        HANDLERS.update(one=one, two=two)
        def check(): return HANDLERS["one"](3)
        """,
    "a list with a cycle": """
        ring = [1, 2]
        ring.append(ring)
        def check(): return ring[2][2] is ring, len(ring)
        """,
    "closure": """
        def scaled(k):
            def apply(x): return k * x
            return apply
        twice, thrice = scaled(2), scaled(3)
        def check(): return twice(5), thrice(5), twice.__qualname__
        """,
    "closure that calls itself": """
        def make(k):
            def down(n): return k if n == 0 else down(n - 1)
            return down
        seven = make(7)
        def check(): return seven(3)
        """,
    "two closures over one cell": """
        def pair():
            n = 0
            def inc():
                nonlocal n
                n += 1
                return n
            def get(): return n
            return {"inc": inc, "get": get}
        both = pair()
        def check():
            before = both["get"]()
            return both["inc"]() - before, both["get"]() - before
        """,
    "an empty cell": """
        def make():
            def inner(): return later
            if False: later = 1
            return inner
        inner = make()
        def check():
            try: inner()
            except NameError as error: return type(error)
        """,
    "lambdas": """
        table = [lambda x, k=k: x + k for k in range(3)]
        add = lambda x, y=1, *rest, z=3, **more: (x, y, rest, z, more)
        def check(): return [f(1) for f in table], add(1, 2, 3, a=1), add.__kwdefaults__
        """,
    "async": """
        import asyncio
        async def co(x):
            await asyncio.sleep(0)
            return 2 * x
        async def steps(n):
            for i in range(n): yield i
        async def both(): return await co(3), [x async for x in steps(3)], [await co(x) for x in (1, 2)]
        def check():
            loop = asyncio.new_event_loop()
            try: return loop.run_until_complete(both())
            finally: loop.close()
        """,
    "generator": """
        def walk(n):
            got = yield n
            yield from range(got)
        def check():
            gen = walk(5)
            return next(gen), gen.send(2), list(gen)
        """,
    "decorator with state": """
        import functools
        def counted(fn):
            calls = []
            @functools.wraps(fn)
            def wrapper(*args):
                calls.append(args)
                return fn(*args), len(calls)
            return wrapper
        @counted
        def f(x):
            "What it does."
            return x
        def check(): return f(1), f(2), f.__name__, f.__doc__, f.__wrapped__(3)
        """,
    "decorator class": """
        class Counted:
            def __init__(self, fn): self.fn, self.n = fn, 0
            def __call__(self, *args):
                self.n += 1
                return self.fn(*args), self.n
        @Counted
        def f(x): return x
        def check(): return f(1), f(2)
        """,
    "lru_cache": """
        import functools
        @functools.lru_cache(maxsize=7)
        def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
        def check(): return fib(30), fib.cache_parameters()["maxsize"], fib.__name__
        """,
    "cached method and property": """
        import functools
        class C:
            @functools.lru_cache
            def once(self, x): return x
            @functools.cached_property
            def p(self): return 5
        def check():
            c = C()
            return c.once(1), c.once(1), c.once.cache_info().hits, c.p, vars(c)
        """,
    "singledispatch": """
        import functools
        class Own: pass
        @functools.singledispatch
        def show(x): return "object"
        @show.register
        def _(x: int): return "int"
        @show.register(Own)
        def _(x): return "own"
        def check(): return show(1), show("x"), show(Own()), show(True), len(show.registry)
        """,
    "singledispatchmethod": """
        import functools
        class Shower:
            @functools.singledispatchmethod
            def show(self, x): return "object"
            @show.register
            def _(self, x: int): return "int"
        def check(): return Shower().show(1), Shower().show("x")
        """,
    "partial and bound methods": """
        import functools, operator
        class C:
            def __init__(self, v): self.v = v
            def add(self, x): return self.v + x
            @classmethod
            def make(cls, v): return cls(v)
        part, bound, make, get = functools.partial(pow, 2), C(3).add, C.make, operator.attrgetter("v")
        bound_builtin = [1, 2].count
        def check(): return part(5), bound(4), get(make(5)), bound_builtin(2)
        """,
    "mutable default": """
        def f(x, acc=[]):
            acc.append(x)
            return list(acc)
        def check(): return f(1, []), f.__defaults__ is not None
        """,
    "keyword-only defaults and annotations": """
        def f(a: int, /, b: "str" = "x", *, c: list[int] = [1], d=None) -> dict[str, int]: return {b: a + sum(c)}
        def check(): return f(1), f(1, c=[2]), f.__annotations__, f.__kwdefaults__
        """,
    "attributes of a function": """
        def f(): return f.calls + 1
        f.calls = 3
        f.__doc__ = "told later"
        def check(): return f(), f.__doc__
        """,
    "a global statement": """
        n = 0
        def inc():
            global n, made
            n += 1
            made = n * 10
            return made / n
        def check(): return inc(), inc()
        """,
    "helpers share their globals": """
        CACHE = {}
        def put(k):
            CACHE[k] = 1
            return len(CACHE)
        def check():
            CACHE.clear()
            return put("a"), put("b"), sorted(CACHE)
        """,
    "modules": """
        import collections.abc, os.path as p, xml.dom.minidom
        from json import dumps as d, JSONDecodeError
        def check():
            import email.message, struct as s
            return (p.join("a", "b"), d({}), isinstance([], collections.abc.Sequence), s.calcsize("i"),
                JSONDecodeError.__name__,
                xml.dom.minidom.parseString("<a/>").documentElement.tagName, email.message.Message().as_string())
        """,
    "modules as values": """
        import json, string
        def make():
            import fractions
            return lambda: fractions.Fraction(1, 2)
        half, known = make(), {"json": json, "more": [string]}
        def check(): return half(), known["json"].dumps([1]), known["more"][0].digits
        """,
    "values of many types": """
        import array, collections, datetime, decimal, fractions, pathlib, re, uuid, types, weakref
        class Key:
            def __init__(self): self.v = 1
        key = Key()
        values = [collections.deque([1], 3), collections.OrderedDict(a=1), collections.defaultdict(list,
            a=[1]), datetime.date(2026, 1, 2),
            decimal.Decimal("1.5"), fractions.Fraction(1, 3), pathlib.PurePosixPath("/a"), re.compile("a+"),
                uuid.UUID(int=3), 3j,
            frozenset({1}), bytearray(b"a"), range(3), slice(1, 2), array.array("i", [1]), ..., NotImplemented,
                types.SimpleNamespace(a=1)]
        proxy = types.MappingProxyType({"a": 1})
        weak = [key, weakref.WeakKeyDictionary({key: 2})]
        def check(): return values, dict(proxy), weak[1][weak[0]], int | str, list[int]
        """,
    "its own globals": """
        def f(): return n
        n = 3
        def check():
            return (eval("f() + 1", globals(), {"g": f}), __name__.partition("_")[0], type(f)(f.__code__,
                f.__globals__)())
        """,
    "match": """
        import dataclasses
        @dataclasses.dataclass
        class P:
            x: int
            y: int
        def where(p):
            match p:
                case P(x=0, y=y): return "on y", y
                case [P(), *rest]: return len(rest)
                case {"p": P(x=x)}: return x
        def check(): return where(P(0, 3)), where([P(1, 1), 2, 3]), where({"p": P(4, 1)})
        """,
}

"""Cells with classes. Each has a function `check`, which gives the same in both processes."""

from __future__ import annotations

import sys

CLASSES = {
    "dataclasses": """
        import dataclasses
        @dataclasses.dataclass(frozen=True, slots=True, order=True)
        class D:
            x: int
            y: list = dataclasses.field(default_factory=list, compare=False)
        @dataclasses.dataclass
        class E(D.__base__):
            d: D
            def __post_init__(self): self.n = self.d.x
        def check():
            d = D(1)
            try: d.x = 2
            except dataclasses.FrozenInstanceError as error: kind = type(error)
            return (kind, hasattr(d, "__dict__"), D(1) == D(1, [2]), D(1) < D(2), hash(D(1)) == hash(D(1)), repr(E(d)),
                dataclasses.replace(d, x=9).x, E(d).n, [f.name for f in dataclasses.fields(D)], D.__match_args__)
        """,
    "enums": """
        import enum
        class Color(enum.Enum):
            RED = 1
            BLUE = (2, "b")
            ALSO = 1
            def twice(self): return self.name * 2
        class Perm(enum.Flag):
            R = enum.auto()
            W = enum.auto()
        class Level(enum.IntEnum):
            LOW = 1
        class Word(str, enum.Enum):
            A = "a"
        def check():
            return (Color.RED.twice(), Color["BLUE"].value, Color(1) is Color.ALSO, list(Color.__members__),
                (Perm.R | Perm.W).value,
                Level.LOW + 1, Word.A.upper(), isinstance(Word.A, Word), [c.name for c in Color],
                    {Color.RED: 1}[Color.RED])
        """,
    "enums with more in them": """
        import enum
        class Planet(enum.Enum):
            EARTH = (5.9, 6.3)
            MARS = (0.6, 3.3)
            def __init__(self, mass, radius): self.mass = mass
            @property
            def heavy(self): return self.mass > 1
            @classmethod
            def _missing_(cls, value): return cls.MARS
        class Coded(enum.Enum):
            A = 1, "one"
            B = 2, "two"
            def __new__(cls, value, label):
                made = object.__new__(cls)
                made._value_ = value
                made.label = label
                return made
        class Loose(enum.Flag, boundary=enum.KEEP):
            X = 1
            Y = 2
            BOTH = 3
        class Same(enum.StrEnum):
            ONE = enum.auto()
        class Meta(enum.EnumMeta):
            def __contains__(cls, item): return item == 3 or super().__contains__(item)
        class Own(enum.Enum, metaclass=Meta):
            A = 1
        @enum.unique
        class Lists(enum.Enum):
            A = [1]
        def check():
            return (Planet.EARTH.mass, Planet.EARTH.heavy, Planet("?") is Planet.MARS, Coded.A.label,
                Coded(2).label, Loose(9).value,
                Loose.BOTH is Loose.X | Loose.Y, ~Loose.X is Loose.Y, Same.ONE.upper(),
                    Same("one") is Same.ONE, 3 in Own, Own.A in Own,
                Lists([1]) is Lists.A, len(Loose), repr(Loose.X), str(Same.ONE))
        """,
    "named tuples": """
        import collections, typing
        class N(typing.NamedTuple):
            a: int
            b: str = "z"
            def both(self): return f"{self.a}{self.b}"
        P = collections.namedtuple("P", "x y", defaults=(3,))
        def check():
            return (N(1).both(), N(1)._replace(b="q"), P(1), P(1)._fields, isinstance(N(1), tuple), N._field_defaults)
        """,
    "exceptions": """
        class Picky(ValueError):
            def __init__(self, a, b):
                super().__init__(f"{a}-{b}")
                self.a = a
        class Plain(Exception): pass
        def check():
            try: raise Picky(1, 2) from Plain("x")
            except Plain: return None
            except ValueError as error: return str(error), error.a, type(error.__cause__).__name__
        """,
    "ABC and super": """
        import abc
        class Shape(abc.ABC):
            def __init__(self, n): self.n = n
            @abc.abstractmethod
            def area(self): return 1
            @property
            @abc.abstractmethod
            def name(self): ...
        class Square(Shape):
            def __init__(self, n): super().__init__(n)
            def area(self): return super().area() + self.n ** 2
            name = "square"
        class Like(Shape): pass
        Shape.register(dict)
        def check():
            try: Like(1)
            except TypeError: made = False
            return Square(3).area(), Square(3).name, isinstance({}, Shape), made, Shape.__abstractmethods__
        """,
    "generics": """
        import typing
        T = typing.TypeVar("T", bound=int)
        P = typing.ParamSpec("P")
        class Box(typing.Generic[T]):
            def __init__(self, v: T): self.v = v
        class Ints(Box[int]): pass
        class Call(typing.Generic[P, T]): pass
        def check():
            return (Box[int](4).v, Ints(3).v, isinstance(Ints(3), Box), Box.__parameters__ == (T,),
                typing.get_args(Box[int]),
                Ints.__orig_bases__ == (Box[int],), T.__bound__, Call.__parameters__ == (P, T))
        """,
    "protocols": """
        import typing
        @typing.runtime_checkable
        class Goes(typing.Protocol):
            def go(self) -> int: ...
        class Car:
            def go(self): return 1
        class Bus(Goes):
            pass
        def check(): return isinstance(Car(), Goes), isinstance(3, Goes), isinstance(Bus(), Goes)
        """,
    "metaclasses": """
        class Meta(type):
            def __new__(mcls, name, bases, names, *, tag="none"):
                cls = super().__new__(mcls, name, bases, names)
                cls.tag = tag
                return cls
            def __init__(cls, name, bases, names, **more): super().__init__(name, bases, names)
            def __call__(cls, *args): return super().__call__(*args), "made"
            def __iter__(cls): return iter(cls.tag)
        class A(metaclass=Meta, tag="ab"): pass
        class B(A, tag="c"): pass
        def check(): return list(A), list(B), A()[1], type(B).__name__, isinstance(B()[0], A)
        """,
    "descriptors": """
        class Field:
            named = []
            def __set_name__(self, owner, name):
                self.name = name
            def __get__(self, instance, owner): return self if instance is None else instance.__dict__.get(self.name, 0)
            def __set__(self, instance, value): instance.__dict__[self.name] = 2 * value
        class Has:
            x = Field()
            y = Field()
        def check():
            has = Has()
            has.x = 4
            return has.x, has.y, Has.y.name
        """,
    "slots": """
        class A: __slots__ = ("a", "__weakref__")
        class B(A): __slots__ = "b"
        class C(B): pass
        class Private:
            __slots__ = ("__hidden",)
            def __init__(self): self.__hidden = 3
            def get(self): return self.__hidden
        def check():
            b, c = B(), C()
            b.a, b.b, c.b, c.z = 1, 2, 3, 4
            return (b.a, b.b, hasattr(b, "__dict__"), vars(c), A.__slots__, B.__slots__, Private().get(),
                hasattr(b, "__weakref__"))
        """,
    "slots with docs": """
        class A:
            __slots__ = {"a": "what a is"}
            def __init__(self): self.a = 1
        def check(): return A().a, A.__slots__, hasattr(A(), "__dict__")
        """,
    "nested classes": """
        class Outer:
            class Inner:
                class Deep:
                    def name(self): return Outer.__name__, type(self).__qualname__
                def outer(self): return Outer
            def make(self): return self.Inner()
        def check(): return Outer.Inner.Deep().name(), Outer().make().outer() is Outer, Outer.Inner.Deep.__qualname__
        """,
    "class keywords": """
        class Plugin:
            found = {}
            def __init_subclass__(cls, /, key, **more):
                super().__init_subclass__(**more)
                cls.key = key
        class A(Plugin, key="a"): pass
        class B(A, key="b"): pass
        def check(): return A.key, B.key, B().key
        """,
    "properties and alike": """
        class C:
            limit = 3
            def __init__(self): self._v = 1
            @property
            def v(self):
                "The v."
                return self._v
            @v.setter
            def v(self, value): self._v = value + 1
            @v.deleter
            def v(self): self._v = None
            @classmethod
            def name(cls): return cls.__name__
            @staticmethod
            def plus(a): return a + 1
        def check():
            c = C()
            c.v = 4
            got = c.v
            del c.v
            return got, c.v, C.v.__doc__, C.name(), c.name(), C.plus(1), c.limit
        """,
    "operators": """
        import contextlib
        class V:
            def __init__(self, x): self.x = x
            def __add__(self, o): return V(self.x + o.x)
            def __eq__(self, o): return isinstance(o, V) and o.x == self.x
            def __hash__(self): return hash(self.x)
            def __class_getitem__(cls, item): return item
            def __len__(self): return self.x
        @contextlib.contextmanager
        def block():
            yield V(1)
        def check():
            with block() as v: return (v + V(2)).x, V(1) == V(1), {V(1), V(1)} == {V(1)}, V[3], len(V(4))
        """,
    "inheritance": """
        class A:
            def f(self): return ["A"]
        class B(A):
            def f(self): return ["B", *super().f()]
        class C(A):
            def f(self): return ["C", *super().f()]
        class D(B, C):
            def f(self): return ["D", *super().f()]
        def check(): return D().f(), [c.__name__ for c in D.__mro__], __class__ if False else None
        """,
    "of builtin types": """
        import collections
        class Names(dict):
            def __missing__(self, key): return key
        class Stack(list): pass
        class Half(float): pass
        class Word(str):
            def shout(self): return self.upper()
        class Count(collections.Counter): pass
        def check():
            return (Names()["x"], Stack([1]) + [2], Half(0.5) * 2, Word("a").shout(), Count("aab").most_common(1))
        """,
    "typed dicts and new types": """
        import typing
        class Movie(typing.TypedDict, total=False):
            name: str
            year: int
        Id = typing.NewType("Id", int)
        Both = typing.Union[int, str]
        def f(m: Movie, i: Id) -> Both: return m["name"] * i
        def check():
            return (f(Movie(name="x"), Id(2)), Movie.__annotations__, Movie.__total__,
                typing.get_type_hints(f)["return"], Id.__name__)
        """,
    "hints of strings": """
        from __future__ import annotations
        import dataclasses, typing
        @dataclasses.dataclass
        class Tree:
            left: Tree | None = None
            kind: typing.ClassVar[int] = 3
        def f(t: Tree) -> list[Tree]: ...
        def check():
            return (typing.get_type_hints(Tree)["left"] == (Tree | None),
                typing.get_type_hints(f)["return"] == list[Tree],
                [f.name for f in dataclasses.fields(Tree)])
        """,
    "a class that has its instances": """
        class Node:
            all = []
            one: "Node"
            def __init__(self, name):
                self.name = name
                Node.all.append(self)
        Node.one = Node("x")
        def check(): return Node.one.name, isinstance(Node.one, Node), Node.all[0] is Node.one, len(Node.all)
        """,
    "a class that has itself": """
        class A: pass
        A.me = A
        A.all = {"a": A, "list": [A]}
        def check(): return A.me is A, A.all["a"] is A, A.all["list"][0] is A
        """,
    "classes that refer to each other": """
        class A:
            def other(self): return B()
        class B:
            def other(self): return A()
        A.friend, B.friend = B, A
        def check(): return type(A().other().other()) is A, A.friend is B, B.friend is A
        """,
    "a base that knows its subclass": """
        class Base:
            def make(self): return Sub(4)
            kinds = {}
        class Sub(Base):
            def __init__(self, n): self.n = n
        Base.kinds["sub"] = Sub
        def check(): return Base().make().n, Base.kinds["sub"] is Sub, issubclass(Sub, Base)
        """,
    "a class made in a function": """
        def make(k):
            class Local:
                def get(self): return k, __class__.__name__
            return Local
        One, Two = make(1), make(2)
        def check(): return One().get(), Two().get(), One is Two, One.__qualname__, isinstance(One(), Two)
        """,
    "a class made by type()": """
        Dyn = type("Dyn", (), {"x": 1, "f": lambda self: self.x + 1})
        def check(): return Dyn().f(), Dyn.__name__
        """,
    "a method taken from another class": """
        class A:
            def f(self): return "f"
        class B:
            g = A.f
        def outside(self): return "outside"
        B.h = outside
        def check(): return B().g(), B().h(), B.h.__qualname__
        """,
}
if sys.version_info >= (3, 12):
    CLASSES["type parameters"] = """
        class Box[T: int]:
            def __init__(self, v: T): self.v = v
            def get(self) -> T: return self.v
        class Ints(Box[int]): pass
        def first[T](items: list[T]) -> T: return items[0]
        type Pair[T] = tuple[T, T]
        def check():
            (T,) = Box.__type_params__
            return (Box[int](3).get(), Ints(1).v, first([4]), Pair.__name__, Pair[int].__args__,
                Box.__parameters__ == (T,), T.__bound__,
                T.__name__, first.__type_params__[0].__name__, Box.get.__annotations__["return"] is T)
        """

# Those that need a package, by its name.
OPTIONAL = {
    "pydantic": """
        import typing
        from pydantic import BaseModel, Field, field_validator
        class Item(BaseModel):
            x: int = Field(gt=0)
            sub: typing.Optional["Item"] = None
            @field_validator("x")
            @classmethod
            def even(cls, v):
                if v % 2: raise ValueError("odd")
                return v
            def twice(self): return self.x * 2
        class More(Item):
            tags: list[str] = []
        def check():
            try: Item(x=3)
            except ValueError as error: wrong = error.error_count()
            return (Item(x=2).twice(), More.model_validate({"x": 4, "sub": {"x": 2}}).sub.x, wrong, More(x=2,
                tags=["a"]).model_dump(),
                More.model_json_schema()["properties"]["x"], isinstance(More(x=2), Item), Item(x=2) == Item(x=2))
        """,
    "attrs": """
        import attrs
        @attrs.define
        class A:
            x: int = attrs.field(validator=attrs.validators.instance_of(int))
            y: list = attrs.Factory(list)
        @attrs.frozen
        class B(A):
            z: int = 3
        def check():
            try: A("x")
            except TypeError: wrong = True
            return A(1), A(1) == A(1), wrong, attrs.asdict(B(1)), hasattr(A(1), "__dict__"), attrs.evolve(B(1), z=4).z
        """,
}

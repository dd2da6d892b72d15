"""Cells whose functions assign globals, or share what they capture. Each has a function `check`."""

from __future__ import annotations

STATE = {
    "a global that a helper assigns": """
        n = 0
        def inc():
            global n
            n += 1
        def check():
            inc()
            inc()
            return n
        """,
    "a global that a helper reads": """
        mode = 1
        def get(): return mode
        def check():
            global mode
            mode = 5
            return get()
        """,
    "a global that a method assigns": """
        n = 0
        class C:
            def __init__(self):
                global n
                n += 1
        def check():
            C()
            C()
            return n
        """,
    "a global that is made at first use": """
        model = None
        def load():
            global model
            if model is None: model = [1, 2]
        def check():
            load()
            return model
        """,
    "a global that a helper deletes": """
        n = 0
        def drop():
            global n
            del n
        def check():
            drop()
            try: return n
            except NameError: return "gone"
        """,
    "a global that a closure assigns": """
        n, m = 0, [0]
        def make(k):
            def add():
                global n, m
                n += k
                m = [*m, n]
            return add
        two, three = make(2), make(3)
        def check():
            two()
            three()
            return n, m
        """,
    "a global that is not there yet": """
        def make():
            global made
            made = [1]
        def check():
            try: made
            except NameError: make()
            return made
        """,
    "one list under two names": """
        a = b = []
        def check():
            a.append(1)
            return len(b), a is b
        """,
    "an object and a registry": """
        class O: v = 1
        o = O()
        registry = {"o": o}
        def check():
            o.v = 5
            return registry["o"].v
        """,
    "a model and its optimizer": """
        class Model:
            def __init__(self): self.w = [0.0]
        class Optimizer:
            def __init__(self, w): self.w = w
            def step(self): self.w[0] += 1
        model = Model()
        optimizer = Optimizer(model.w)
        def check():
            optimizer.step()
            return model.w
        """,
    "an optimizer that a helper has": """
        class Optimizer:
            def __init__(self, w): self.w = w
            def step(self): self.w[0] += 1
        w = [0.0]
        optimizer = Optimizer(w)
        class Trainer:
            def train(self): optimizer.step()
        def check():
            Trainer().train()
            return w
        """,
    "closures that share a cell": """
        def pair():
            n = 0
            def inc():
                nonlocal n
                n += 1
            def get(): return n
            return inc, get
        inc, get = pair()
        def check():
            inc()
            inc()
            return get()
        """,
    "a bound method and its object": """
        class Counter:
            def __init__(self): self.n = 0
            def add(self): self.n += 1
        counter = Counter()
        add = counter.add
        def check():
            add()
            return counter.n
        """,
    "objects in a chain": """
        a = []
        b, c = [a], []
        d, e = {"c": c}, (b, c)
        def first(): return b[0]
        def check():
            a.append(1)
            c.append(2)
            return first(), d, e
        """,
    "a shared object that is assigned": """
        a = b = [0]
        def grow():
            global a
            a.append(1)
            a = [7]
        def check():
            grow()
            return a, b
        """,
    "objects that only look shared": """
        import enum, re
        class Color(enum.Enum): RED = 1
        text, rx = "x" * 50, re.compile("a")
        one, two = [text, Color.RED, rx, 1.5, (1, 2)], [text, Color.RED, rx, 1.5, (1, 2)]
        def check():
            one.append(1)
            return len(one), len(two), one[1] is two[1]
        """,
    "equal classes": """
        def make():
            class E(Exception): pass
            return E
        E1, E2 = make(), make()
        def check():
            try: raise E1
            except E2: return "wrong"
            except E1: return "right", E1 is E2
        """,
}

%% The truth table of exit signals: how a reason reaches a process, whether that process traps, and what
%% becomes of it.
-module(probes_exit).
-export([probes/0]).

probes() ->
    [row(How, From, Trap, Reason) || {How, From} <- ways(), Trap <- [false, true], Reason <- reasons()].

reasons() -> [normal, kill, shutdown, {shutdown, x}, boom].

%% exit2: exit(P, Reason) by a stranger, by a linked process, by P itself.
%% exit1: P itself calls exit(Reason), no signal at all. link_exit1: a linked process calls exit(Reason).
%% link_exit2: a linked process is sent exit(Q, Reason), and what it dies of travels through the link.
ways() -> [{exit2, other}, {exit2, linked}, {exit2, self}, {exit1, self}, {link_exit1, linked},
    {link_exit2, linked}].

row(How, From, Trap, Reason) ->
    Name = lists:join("/", [atom_to_list(How), atom_to_list(From), trapping(Trap), name(Reason)]),
    {Name, [4, 5, 6], "dropped, a message, or death, and the reason that is seen",
     #{how => How, from => From, trap => Trap, reason => Reason},
     fun() -> outcome(How, From, Trap, Reason) end}.

trapping(true) -> "trapping";
trapping(false) -> "plain".
name({A, B}) -> io_lib:format("~s_~s", [A, B]);
name(A) -> atom_to_list(A).

outcome(How, From, Trap, Reason) ->
    Me = self(),
    Q = spawn(fun() -> other(Me) end),
    {P, M} = spawn_monitor(fun() -> subject(Me, How, From, Trap, Reason, Q) end),
    receive ready -> ok end,
    Q ! {do, How, P, Reason},
    if How =:= link_exit2 -> exit(Q, Reason), is_process_alive(Q) andalso (P ! checked); true -> ok end,
    receive
        {seen, Outcome} -> exit(P, kill), Outcome;
        {'DOWN', M, _, _, R} -> {died, R}
    end.

subject(Me, How, From, Trap, Reason, Q) ->
    process_flag(trap_exit, Trap),
    From =:= linked andalso link(Q),
    Dead = if How =:= link_exit1 -> monitor(process, Q); true -> none end,
    Me ! ready,
    if
        From =/= self -> ok;
        How =:= exit1 -> exit(Reason);
        true -> exit(self(), Reason), self() ! checked
    end,
    receive
        {'EXIT', _, R} -> Me ! {seen, {message, R}};
        checked -> Me ! {seen, dropped};
        {'DOWN', Dead, _, _, _} -> receive {'EXIT', _, R} -> Me ! {seen, {message, R}} after 50 ->
            Me ! {seen, dropped} end
    end,
    receive after infinity -> ok end.

%% The other process. Its message "checked" is sent after its signal, so it arrives after it.
other(Me) ->
    receive
        {do, exit2, P, Reason} -> exit(P, Reason), P ! checked, other(Me);
        {do, link_exit1, _, Reason} -> exit(Reason);
        {do, _, _, _} -> other(Me)
    end.

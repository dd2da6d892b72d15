%% pg, the part that needs one node.
-module(probes_pg).
-export([probes/0]).
-import(probes, [c/1, get1/0, absent/0, idler/0, dead/0, reason/1, mailbox/0, until/1, info/2]).

probes() -> [{Name, Cases, What, fun() -> Me = self(), {ok, _} = pg:start_link(Name), V = F(Name, Me), V end}
    || {Name, Cases, What, F} <- groups() ++ events()].

groups() -> [
    {pg_join_twice, [42, 51], "members after joining twice", fun(S, Me) ->
        ok = pg:join(S, g, Me), ok = pg:join(S, g, Me), length(pg:get_members(S, g)) end},
    {pg_leave_not_joined, [42, 51], "leave of a group not joined", fun(S, Me) -> pg:leave(S, nog, Me) end},
    {pg_empty_group, [42, 51], "members of a group that does not exist", fun(S, _) ->
        pg:get_members(S, nope) end},
    {pg_single, [42], "join, members, local members, groups, leave, members, groups", fun(S, Me) ->
        [pg:join(S, g, Me), pg:get_members(S, g) =:= [Me], pg:get_local_members(S, g) =:= [Me],
            pg:which_groups(S), pg:leave(S, g, Me), pg:get_members(S, g), pg:which_groups(S)] end},
    {pg_joined_twice_leave_once, [42], "joined twice, left once, twice, three times", fun(S, Me) ->
        pg:join(S, g, Me), pg:join(S, g, Me),
        [{pg:leave(S, g, Me), length(pg:get_members(S, g))} || _ <- [1, 2, 3]] end},
    {pg_two_members_two_groups, [42], "two processes in two groups: members and groups", fun(S, Me) ->
        P = idler(), [pg:join(S, G, X) || G <- [g, h], X <- [Me, P]],
        [lists:sort(pg:get_members(S, g)) =:= lists:sort([Me, P]), lists:sort(pg:which_groups(S))] end},
    {pg_list_of_pids, [42], "join and leave of a list with a pid twice; leave of a list of which one has "
        "joined", fun(S, Me) ->
        P = idler(), A = pg:join(S, g, [Me, P, Me]), N = length(pg:get_members(S, g)),
        B = pg:leave(S, g, [Me, P]), N2 = length(pg:get_members(S, g)),
        [A, N, B, N2, pg:leave(S, g, [P, Me]), pg:get_members(S, g)] end},
    {pg_leave_on_exit, [42], "a member that joined twice and another group too exits: members, groups",
        fun(S, _) ->
        P = idler(), [pg:join(S, G, P) || G <- [g, g, h]], N = length(pg:get_members(S, g)), exit(P, kill),
        until(fun() -> pg:get_members(S, g) =:= [] end), [N, pg:get_members(S, h), pg:which_groups(S)] end},
    {pg_join_dead, [42], "join of a dead pid: value; members in the end", fun(S, _) ->
        R = pg:join(S, g, dead()), until(fun() -> pg:get_members(S, g) =:= [] end), R end},
    {pg_bad_argument, [42], "join of a name, of a number", fun(S, _) ->
        [case c(fun() -> pg:join(S, g, X) end) of {error, W} -> {error, W}; {exit, _} -> exit end
            || X <- [nobody, 7]] end},
    {pg_scopes_are_apart, [42], "members of the group in another scope", fun(S, Me) ->
        pg:start_link(other_scope), pg:join(S, g, Me), pg:get_members(other_scope, g) end},
    {pg_scope_not_started, [42], "members, join and groups in a scope that does not run", fun(_, Me) ->
        [case c(fun() -> F() end) of {Class, {R, _}} when is_atom(R) -> {Class, R}; V -> V end
            || F <- [fun() -> pg:get_members(no_scope, g) end, fun() -> pg:join(no_scope, g, Me) end,
            fun() -> pg:which_groups(no_scope) end]] end},
    {pg_any_term_is_a_group, [42], "a tuple as group", fun(S, Me) ->
        pg:join(S, {room, 1}, Me), [pg:which_groups(S), length(pg:get_members(S, {room, 1}))] end},
    {pg_owner_of_membership_is_the_process, [42], "joined by another process, which exits: members",
        fun(S, Me) ->
        {_, M} = spawn_monitor(fun() -> pg:join(S, g, Me) end), reason(M), pg:get_members(S, g) =:= [Me] end},
    {pg_leave_exit_race, [42], "100 processes join, leave and exit: members and groups in the end",
        fun(S, _) ->
        Ms = [element(2, spawn_monitor(fun() -> pg:join(S, g, self()), pg:join(S, h, self()), I rem 2 =:= 0
            andalso pg:leave(S, g, self()) end)) || I <- lists:seq(1, 100)], [reason(M) || M <- Ms],
        until(fun() -> pg:which_groups(S) =:= [] end), [pg:get_members(S, g), pg:get_members(S, h)] end},
    {pg_scope_restart, [42], "the scope process ends and starts again: members", fun(S, Me) ->
        pg:join(S, g, Me), unlink(whereis(S)), gen_server:stop(S), {ok, _} = pg:start_link(S),
        pg:get_members(S, g) end},
    {pg_scope_ends_members_live, [42], "the scope process is killed: is a member alive, linked", fun(S, _) ->
        P = idler(), pg:join(S, g, P), unlink(whereis(S)), exit(whereis(S), kill),
        until(fun() -> whereis(S) =:= undefined end), [is_process_alive(P), info(P, links)] end}].

events() -> [
    {pg_monitor_events, [42], "monitor of a group: the snapshot's size; join, join again, leave, exit with "
        "one membership", fun(S, Me) ->
        P = idler(), pg:join(S, g, Me), {R, L} = pg:monitor(S, g), pg:join(S, g, P), pg:join(S, g, P),
        pg:leave(S, g, P), exit(P, kill), [length(L), event(R, P), event(R, P), event(R, P), event(R, P),
            absent()] end},
    {pg_monitor_exit_of_double_member, [42], "a member that joined twice exits: the messages", fun(S, _) ->
        P = idler(), pg:join(S, g, P), pg:join(S, g, P), {R, [P, P]} = pg:monitor(S, g), exit(P, kill),
        [event(R, P), event(R, P), absent()] end},
    {pg_monitor_list_join, [42], "a list that joins and leaves gives one message each", fun(S, _) ->
        {R, []} = pg:monitor(S, g), P = idler(), pg:join(S, g, [P, P]), pg:leave(S, g, [P, P]),
        [event(R, P), event(R, P), absent()] end},
    {pg_monitor_other_group, [42], "messages of groups not monitored", fun(S, Me) ->
        pg:monitor(S, g), pg:join(S, h, Me), absent() end},
    {pg_monitor_leave_not_joined, [42], "a leave of a group not joined: messages", fun(S, Me) ->
        pg:monitor(S, g), pg:leave(S, g, Me), absent() end},
    {pg_monitor_before_group_exists, [42], "monitor of a group that is empty: the snapshot, then a join",
        fun(S, Me) ->
        {R, L} = pg:monitor(S, g), pg:join(S, g, Me), [L, event(R, Me)] end},
    {pg_monitor_twice, [42], "two monitors of one group: messages for one join", fun(S, Me) ->
        {R1, _} = pg:monitor(S, g), {R2, _} = pg:monitor(S, g), pg:join(S, g, Me),
        [R1 =/= R2, length(mailbox())] end},
    {pg_demonitor, [42], "demonitor, again, then a join: values and messages", fun(S, Me) ->
        {R, _} = pg:monitor(S, g), A = pg:demonitor(S, R), B = pg:demonitor(S, R), pg:join(S, g, Me),
        [A, B, absent()] end},
    {pg_demonitor_flushes, [42], "demonitor with a message in the mailbox", fun(S, Me) ->
        {R, _} = pg:monitor(S, g), pg:join(S, g, Me),
        until(fun() -> info(self(), message_queue_len) =:= 1 end), [pg:demonitor(S, R), absent()] end},
    {pg_monitor_scope, [42], "monitor_scope: the snapshot, then a join and a leave of any group",
        fun(S, Me) ->
        pg:join(S, g, Me), {R, Map} = pg:monitor_scope(S), pg:join(S, h, Me), pg:leave(S, g, Me),
        [maps:map(fun(_, L) -> length(L) end, Map), event(R, Me), event(R, Me)] end},
    {pg_join_seen_at_once, [42], "get_members by another process just after join returned", fun(S, Me) ->
        pg:join(S, g, Me), spawn(fun() -> Me ! (pg:get_members(S, g) =:= [Me]) end), get1() end}].

%% {join or leave, group, how many of P}
event(R, P) -> receive {R, What, Group, Pids} ->
    {What, Group, length([X || X <- Pids, X =:= P])} after 2000 -> none end.

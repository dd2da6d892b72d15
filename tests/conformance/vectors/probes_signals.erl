%% Order of signals, exits and links of processes on one node.
-module(probes_signals).
-export([probes/0]).
-import(probes, [c/1, ex/1, get1/0, absent/0, idle/0, idler/0, linked_idler/0, dead/0, reason/1, mailbox/0,
    until/1, info/2, times/2]).

probes() -> order() ++ exits() ++ ends() ++ links() ++ link_protocol().

%% --- order

order() -> [
    {signal_order_mixed, [1], "messages, exit/2, messages, 1000 times: the reasons seen", fun() ->
        times(1000, fun() -> P = spawn(fun sink/0), M = monitor(process, P), P ! a, P ! b,
            exit(P, good_order), P ! may_not, P ! may_not, reason(M) end) end},
    {signal_order_trapping, [1], "the mailbox of a trapping receiver of messages and exit/2 in turn", fun() ->
        P = trapper(), P ! 1, exit(P, x), P ! 2, exit(P, normal), P ! 3, report(P) end},
    {signal_order_link_message_exit, [1], "a linked process sends 1, 2 and exits: what the trapping peer sees",
        fun() ->
        process_flag(trap_exit, true), Me = self(), spawn_link(fun() -> Me ! 1, Me ! 2, exit(x) end),
        [get1(), get1(), get1()] end},
    {signal_order_monitor_message_down, [1], "a monitored process sends 1, 2 and exits: what the watcher sees",
        fun() ->
        Me = self(), spawn_monitor(fun() -> Me ! 1, Me ! 2, exit(x) end), [get1(), get1(), get1()] end},
    {exit_after_messages_order, [1, 51], "two messages, exit(P, good_order), a message that would change the "
        "reason", fun() ->
        P = spawn(fun sink/0), M = monitor(process, P), P ! a, P ! b, exit(P, good_order), P ! may_not,
        reason(M) end},
    {messages_of_one_sender_in_order, [1], "10000 messages arrive in sending order", fun() ->
        Me = self(), spawn_link(fun() -> [Me ! I || I <- lists:seq(1, 10000)] end),
        [get1() || _ <- lists:seq(1, 10000)] =:= lists:seq(1, 10000) end},
    {messages_of_two_senders_each_in_order, [1], "each of two senders' 2000 messages are in order", fun() ->
        Me = self(), [spawn_link(fun() -> [Me ! {S, I} || I <- lists:seq(1, 2000)] end) || S <- [a, b]],
        All = [get1() || _ <- lists:seq(1, 4000)],
        [[I || {S, I} <- All, S =:= W] =:= lists:seq(1, 2000) || W <- [a, b]] end},
    {is_process_alive_sees_earlier_exit, [1, 49], "exit(P, kill), is_process_alive(P), 1000 times", fun() ->
        times(1000, fun() -> P = idler(), exit(P, kill), is_process_alive(P) end) end},
    {receive_selective_leaves_order, [1], "mailbox a b c: receive b, then the rest", fun() ->
        [self() ! X || X <- [a, b, c]], [receive b -> b end, get1(), get1()] end},
    {receive_timeout_leaves_mailbox, [1], "a receive that matches nothing times out and takes nothing",
        fun() ->
        self() ! a, [receive b -> b after 10 -> timeout end, get1()] end},
    {receive_after_0_empty, [51], "polling an empty mailbox", fun() ->
        receive q -> q after 0 -> timeout end end},
    {receive_after_0_finds_second, [1], "polling finds a message behind one that does not match", fun() ->
        self() ! p, self() ! q, [receive q -> q after 0 -> timeout end, get1()] end}].

sink() -> receive may_not -> exit(bad_order); _ -> sink() end.

%% A trapping process that keeps its mailbox until it is asked for it.
trapper() ->
    Me = self(), P = spawn(fun() -> process_flag(trap_exit, true), Me ! {ready, self()}, keep() end),
    receive {ready, P} -> P end.
keep() -> receive {report, Who} -> Who ! {report, mailbox()} end.
report(P) -> P ! {report, self()}, receive {report, L} -> L end.

%% --- exits

exits() -> [
    {kill_chain_exit2, [2], "exit(P1, kill) on chains of 1, 2, 9, 10 linked processes: reasons seen along "
        "the chain", fun() ->
        chains(fun(P) -> exit(P, kill) end) end},
    {kill_chain_exit1, [2], "the first of the chain calls exit(kill) itself", fun() ->
        chains(fun(P) -> P ! {exit, kill} end) end},
    {exit_twice_first_wins, [3], "exit(P, first), exit(P, second), exit(P, kill), 500 times: the reasons seen",
        fun() ->
        times(500, fun() -> P = idler(), M = monitor(process, P), exit(P, first), exit(P, second),
            exit(P, kill), reason(M) end) end},
    {exit_twice_one_link_signal, [3], "two exit/2 to a linked process: the messages its trapping peer gets",
        fun() ->
        process_flag(trap_exit, true), P = linked_idler(), exit(P, first), exit(P, second), mailbox() end},
    {exit_normal_to_other, [4, 51], "exit(P, normal) from another process: is P alive", fun() ->
        Q = idler(), exit(Q, normal), is_process_alive(Q) end},
    {exit_normal_to_other_trapping, [4], "exit(P, normal) to a P that traps: its mailbox", fun() ->
        P = trapper(), exit(P, normal), report(P) end},
    {exit_normal_from_linked_parent, [4], "exit(Child, normal) by its linked parent: is the child alive",
        fun() ->
        Q = linked_idler(), exit(Q, normal), is_process_alive(Q) end},
    {exit_self_normal, [5, 51], "exit(self(), normal)", fun() ->
        ex(fun() -> exit(self(), normal), receive after 500 -> exit(survived) end end) end},
    {exit_self_abnormal, [5], "exit(self(), oops)", fun() ->
        ex(fun() -> exit(self(), oops), receive after 500 -> exit(survived) end end) end},
    {exit_self_runs_nothing_after, [5], "exit(self(), oops), then a send: what the other side gets", fun() ->
        Me = self(), {ex(fun() -> exit(self(), oops), Me ! ran_on end), absent()} end},
    {exit_self_trapping, [5], "exit(self(), oops) and exit(self(), normal) when trapping", fun() ->
        process_flag(trap_exit, true), exit(self(), oops), exit(self(), normal), [get1(), get1()] end},
    {exit_kill_reason_seen, [5, 51], "exit(self(), kill)", fun() ->
        ex(fun() -> exit(self(), kill), receive after 500 -> ok end end) end},
    {kill_cannot_be_trapped, [6, 51], "exit(self(), kill) when trapping", fun() ->
        ex(fun() -> process_flag(trap_exit, true), exit(self(), kill), receive after 500 -> ok end end) end},
    {exit_not_catchable_signal, [6, 51], "catch exit(self(), die)", fun() ->
        ex(fun() -> catch exit(self(), die), receive after 100 -> exit(caught) end end) end},
    {exit_signal_runs_no_cleanup, [6], "a signal meets a process inside try ... catch ... after: its reason, "
        "what it sent", fun() ->
        Me = self(), {P, M} = spawn_monitor(fun() ->
            try Me ! ready, idle() catch _:_ -> Me ! caught after Me ! after_ran end end),
        receive ready -> ok end, exit(P, die), {reason(M), absent()} end},
    {exit2_returns, [6], "what exit/2 returns or raises for a live pid, a dead pid, a name, a number",
        fun() ->
        [c(fun() -> exit(X, r) end) || X <- [idler(), dead(), nobody, 7]] end},
    {big_exit_reason_intact, [7], "a reason of 128 KB and more through exit/2 and monitor, through a link, "
        "out of exit/1", fun() ->
        process_flag(trap_exit, true), Big = {big, lists:seq(1, 20000), binary:copy(<<"x">>, 131072)},
        P = idler(), M = monitor(process, P), exit(P, Big), Q = linked_idler(), exit(Q, Big),
        Link = receive {'EXIT', Q, R} -> R end,
        [reason(M) =:= Big, Link =:= Big, ex(fun() -> exit(Big) end) =:= Big] end}].

%% The reasons that the links of a chain of N processes die of, beginning with its first, for several N.
chains(Hit) -> [{N, lists:usort(chain(N, Hit))} || N <- [1, 2, 9, 10]].
chain(N, Hit) ->
    Me = self(), First = spawn(fun() -> grow(N, Me) end),
    Ms = [receive {link_of_chain, P} -> monitor(process, P) end || _ <- lists:seq(1, N)],
    Hit(First), [reason(M) || M <- Ms].
grow(N, Me) -> N > 1 andalso spawn_link(fun() -> grow(N - 1, Me) end), Me ! {link_of_chain, self()}, idle().

%% --- how a process ends

ends() -> [
    {exit1_kill_reason, [2, 51], "exit(kill)", fun() -> ex(fun() -> exit(kill) end) end},
    {exit1_kill_through_link_nontrapping, [2, 51], "a linked process calls exit(kill)", fun() ->
        ex(fun() -> spawn_link(fun() -> exit(kill) end), receive after 1000 -> survived end end) end},
    {exit1_kill_through_link_trapping, [2, 51], "a linked process calls exit(kill), we trap", fun() ->
        ex(fun() -> process_flag(trap_exit, true), spawn_link(fun() -> exit(kill) end),
            receive {'EXIT', _, R} -> exit({trapped, R}) end end) end},
    {killed_propagates_through_link, [2, 51], "a linked process is killed", fun() ->
        ex(fun() -> P = linked_idler(), exit(P, kill), receive after 1000 -> survived end end) end},
    {normal_exit_of_linked_nontrapping, [4, 51], "a linked process ends", fun() ->
        ex(fun() -> {_, M} = spawn_opt(fun() -> ok end, [link, monitor]), reason(M), absent(),
            exit(survived) end) end},
    {normal_exit_of_linked_trapping, [4, 51], "a linked process ends, we trap", fun() ->
        ex(fun() -> process_flag(trap_exit, true), spawn_link(fun() -> ok end), exit(get1()) end) end},
    {error_reason_has_stack, [6, 51], "error(boom)", fun() -> ex(fun() -> error(boom) end) end},
    {throw_uncaught, [6, 51], "throw(ball)", fun() -> ex(fun() -> throw(ball) end) end},
    {call_undef_function, [6, 51], "a call of a function that does not exist", fun() ->
        ex(fun() -> nosuchmod:f() end) end},
    {return_value_is_dropped, [6], "a process function that returns a value", fun() ->
        ex(fun() -> value end) end},
    {trap_exit_returns_old, [8], "process_flag(trap_exit, _) twice", fun() ->
        [process_flag(trap_exit, true), process_flag(trap_exit, false)] end},
    {trap_exit_off_leaves_messages, [8], "EXIT messages stay when the flag is switched off", fun() ->
        process_flag(trap_exit, true), exit(self(), oops),
        until(fun() -> info(self(), message_queue_len) =:= 1 end), process_flag(trap_exit, false),
        get1() end},
    {max_heap_size_kill, [51], "a heap above max_heap_size", fun() ->
        ex(fun() -> process_flag(max_heap_size, #{size => 10000, kill => true, error_logger => false}),
            lists:seq(1, 1000000), receive after 500 -> ok end end) end},
    {pid_reuse_after_100k_spawns, [51], "a pid comes again within 100000 spawns", fun() ->
        A = spawn(fun() -> ok end), lists:member(A,
            [spawn(fun() -> ok end) || _ <- lists:seq(1, 100000)]) end}].

%% --- links

links() -> [
    {link_bidirectional_trap, [8], "links to a process: its EXIT here; the linker's EXIT there", fun() ->
        process_flag(trap_exit, true), P = idler(), link(P), exit(P, bye), Here = get1(), T = trapper(),
        {_, M} = spawn_monitor(fun() -> link(T), exit(farewell) end), reason(M), [Here, report(T)] end},
    {link_symmetric_info, [8], "process_info links of both ends: after link, after unlink from the other end",
        fun() ->
        Me = self(), P = spawn(fun() -> relay(Me) end), link(P),
        A = {info(self(), links) =:= [P], info(P, links) =:= [Me]}, P ! {unlink, Me},
        receive unlinked -> ok end, until(fun() -> info(self(), links) =:= [] end),
        [A, {info(self(), links), info(P, links)}] end},
    {unlink_from_other_end, [8], "P unlinks us, then exits bad: we get", fun() ->
        process_flag(trap_exit, true), Me = self(), P = spawn(fun() -> relay(Me) end),
        M = monitor(process, P), link(P), P ! {unlink, Me}, receive unlinked -> ok end, exit(P, bad),
        {reason(M), absent()} end},
    {link_dead_local_nontrapping, [9, 51], "link(Dead)", fun() ->
        ex(fun() -> exit(c(fun() -> link(dead()) end)) end) end},
    {link_dead_local_trapping, [9, 51], "link(Dead) when trapping", fun() ->
        ex(fun() -> process_flag(trap_exit, true), true = link(dead()), exit(get1()) end) end},
    {link_to_dead_nothing_leaks, [9], "links left after 100 links to dead processes, not trapping and "
        "trapping", fun() ->
        [c(fun() -> link(dead()) end) || _ <- lists:seq(1, 100)], A = info(self(), links),
        process_flag(trap_exit, true), [begin link(dead()), get1() end || _ <- lists:seq(1, 100)],
        [A, info(self(), links)] end},
    {link_self, [8, 51], "link(self()) and what it leaves", fun() -> c(fun() -> link(self()) end) end},
    {link_self_leaves_no_link, [8], "process_info links after link(self())", fun() ->
        link(self()), info(self(), links) end},
    {link_twice_one_exit, [8, 51], "two links, one EXIT", fun() ->
        ex(fun() -> process_flag(trap_exit, true), P = idler(), link(P), link(P), exit(P, bye), A = get1(),
            exit({A, absent()}) end) end},
    {link_twice_one_unlink, [8], "link twice, unlink once, the other exits: we get", fun() ->
        process_flag(trap_exit, true), P = idler(), link(P), link(P), unlink(P), exit(P, bad), absent() end},
    {link_bad_argument, [8], "link(name), link(7), unlink(Dead), unlink of one never linked", fun() ->
        [c(fun() -> link(nobody) end), c(fun() -> link(7) end), c(fun() -> unlink(dead()) end),
            c(fun() -> unlink(idler()) end)] end}].

link_protocol() -> [
    {unlink_then_exit, [10, 51], "unlink(P), then P exits bad", fun() ->
        ex(fun() -> P = linked_idler(), unlink(P), M = monitor(process, P), exit(P, bad), reason(M), absent(),
            exit(survived) end) end},
    {unlink_leaves_queued_EXIT, [10, 51], "an EXIT that is already in the mailbox stays after unlink",
        fun() ->
        ex(fun() -> process_flag(trap_exit, true), P = spawn_link(fun() -> exit(bad) end),
            until(fun() -> info(self(), message_queue_len) =:= 1 end), unlink(P), exit(absent()) end) end},
    {unlink_no_late_exit, [10], "exit and unlink race 1000 times: EXITs that came after unlink had returned",
        fun() ->
        process_flag(trap_exit, true), N = lists:sum([unlink_race() || _ <- lists:seq(1, 1000)]),
        {N, absent()} end},
    {relink_after_unlink_one_exit, [10], "link, unlink, link, the other exits: the messages", fun() ->
        process_flag(trap_exit, true), P = idler(), link(P), unlink(P), link(P), exit(P, bye), mailbox() end},
    {spawn_link_child_exits_at_once, [19], "spawn_link of a child that exits at once, 500 times: reasons in "
        "EXIT", fun() ->
        process_flag(trap_exit, true), times(500,
            fun() -> P = spawn_link(fun() -> exit(early) end), receive {'EXIT', P, R} -> R end end) end},
    {spawn_link_parent_exits, [19], "the parent exits oops: the child's reason", fun() ->
        Me = self(), Parent = spawn(fun() -> Me ! {child, linked_idler()}, idle() end),
        M = receive {child, P} -> monitor(process, P) end, Parent ! {exit, oops}, reason(M) end},
    {link_exit_reason_unchanged_along_chain, [8], "exit(oops) at the head of 5 linked processes: the reasons",
        fun() ->
        lists:usort(chain(5, fun(P) -> P ! {exit, oops} end)) end},
    {link_chain_stops_at_trapper, [8], "a - b(trapping) - c: a exits oops. b's messages, is c alive", fun() ->
        B = trapper(), Me = self(), C = spawn(fun() -> link(B), Me ! linked, idle() end),
        receive linked -> ok end, {_, M} = spawn_monitor(fun() -> link(B), exit(oops) end), reason(M),
        {report(B), is_process_alive(C)} end}].

relay(Me) -> receive {unlink, P} -> unlink(P), Me ! unlinked, relay(Me) end.

unlink_race() ->
    P = spawn_link(fun() -> receive go -> exit(raced) end end), M = monitor(process, P), P ! go, unlink(P),
    receive {'EXIT', P, _} -> ok after 0 -> ok end, reason(M),
    receive {'EXIT', P, _} -> 1 after 0 -> 0 end.

%% Monitors, aliases and spawn requests on one node.
-module(probes_monitors).
-export([probes/0]).
-import(probes, [c/1, get1/0, absent/0, absent/1, idler/0, dead/0, reason/1, mailbox/0, until/1, info/2,
    times/2]).

probes() -> monitors() ++ demonitors() ++ aliases() ++ alias_table() ++ spawn_requests().

%% --- monitors

monitors() -> [
    {monitor_basic, [13], "DOWN of a process that ends normally, exits oops, crashes, is killed", fun() ->
        [begin {_, M} = spawn_monitor(F), receive {'DOWN', M, _, _, _} = D -> D end end
            || F <- [fun() -> ok end, fun() -> exit(oops) end, fun() -> error(boom) end,
            fun() -> exit(self(), kill) end]] end},
    {monitor_dead, [13, 51], "monitor of a dead process", fun() -> monitor(process, dead()), get1() end},
    {monitor_unregistered_name, [13, 51], "monitor of a name that nobody has", fun() ->
        monitor(process, nope), get1() end},
    {monitor_named, [13], "monitor by name, by {Name, Node} and by pid: the objects in DOWN", fun() ->
        P = idler(), register(mn, P), Rs = [monitor(process, X) || X <- [mn, {mn, node()}, P]], exit(P, bye),
        [receive {'DOWN', R, T, O, W} -> {T, O, W} end || R <- Rs] end},
    {monitor_name_resolved_once, [13], "monitor n, n moves to Q: what Q's exit gives, then P's", fun() ->
        P = idler(), Q = idler(), register(mr, P), M = monitor(process, mr), unregister(mr), register(mr, Q),
        exit(Q, q), A = absent(), exit(P, p), [A, receive {'DOWN', M, _, O, W} -> {O, W} end] end},
    {monitor_self, [13, 51], "demonitor of a monitor on oneself", fun() ->
        c(fun() -> R = monitor(process, self()), demonitor(R) end) end},
    {monitor_is_unidirectional, [13], "the watcher exits oops: is the watched process alive, what it got",
        fun() ->
        Me = self(), P = spawn(fun() -> process_flag(trap_exit, true), Me ! up,
            receive X -> Me ! {got, X} end end), receive up -> ok end,
        {_, M} = spawn_monitor(fun() -> monitor(process, P), exit(oops) end),
        {reason(M), is_process_alive(P), absent()} end},
    {two_monitors_two_downs, [13, 51], "two monitors of one process", fun() ->
        P = idler(), monitor(process, P), monitor(process, P), exit(P, x), [get1(), get1(), absent()] end},
    {hundred_monitors_each_once, [13], "100 monitors of one process: DOWNs, different refs among them",
        fun() ->
        P = idler(), Rs = [monitor(process, P) || _ <- lists:seq(1, 100)], exit(P, x), L = mailbox(),
        {length(L), lists:sort(Rs) =:= lists:sort([R || {'DOWN', R, process, _, x} <- L])} end},
    {monitor_after_exit_signal, [13, 49], "exit(P, oops), then monitor(P) by the same process, 500 times: "
        "reasons in DOWN", fun() ->
        times(500, fun() -> P = idler(), exit(P, oops), reason(monitor(process, P)) end) end},
    {monitor_bad_argument, [13], "monitor(process, 7)", fun() -> c(fun() -> monitor(process, 7) end) end},
    {monitor_tag_option, [13, 51], "the tag in the place of 'DOWN'", fun() ->
        monitor(process, dead(), [{tag, {my, tag}}]), element(1, get1()) end},
    {monitor_tag_whole_message, [13], "the whole message with a tag", fun() ->
        monitor(process, dead(), [{tag, t}]), get1() end},
    {spawn_monitor_reason, [19, 51], "a child that exits at once", fun() ->
        {_, M} = spawn_monitor(fun() -> exit(early) end), reason(M) end},
    {spawn_monitor_reason_500, [19], "a child that exits at once, 500 times: the reasons", fun() ->
        times(500, fun() -> {_, M} = spawn_monitor(fun() -> exit(early) end), reason(M) end) end}].

demonitors() -> [
    {demonitor_leaves_queued_DOWN, [14, 51], "a DOWN that is in the mailbox stays after demonitor", fun() ->
        R = queued_down(), demonitor(R), absent() end},
    {demonitor_flush, [14, 51], "demonitor(R, [flush, info]) with DOWN in the mailbox", fun() ->
        R = queued_down(), {demonitor(R, [flush, info]), absent()} end},
    {demonitor_info_active, [14, 51], "[info] on a live monitor, then again", fun() ->
        R = monitor(process, idler()), {demonitor(R, [info]), demonitor(R, [info])} end},
    {demonitor_flush_info_active, [14], "[flush, info] on a live monitor, then again", fun() ->
        R = monitor(process, idler()), {demonitor(R, [flush, info]), demonitor(R, [flush, info])} end},
    {demonitor_info_queued, [14], "[info] with DOWN in the mailbox; the mailbox", fun() ->
        R = queued_down(), {demonitor(R, [info]), mailbox()} end},
    {demonitor_flush_received, [14], "[flush, info] after DOWN was received", fun() ->
        R = queued_down(), reason(R), demonitor(R, [flush, info]) end},
    {demonitor_flush_takes_only_its_own, [14], "two monitors, DOWNs queued, one flushed: what is left",
        fun() ->
        P = idler(), R1 = monitor(process, P), R2 = monitor(process, P), self() ! x, exit(P, bye),
        until(fun() -> info(self(), message_queue_len) =:= 3 end), demonitor(R1, [flush]), L = mailbox(),
        {length(L), lists:keymember(R2, 2, [M || M <- L, is_tuple(M)])} end},
    {demonitor_returns, [14], "demonitor of a live monitor, again, of an unknown ref, of no ref", fun() ->
        R = monitor(process, idler()), [demonitor(R), demonitor(R), demonitor(make_ref()),
            c(fun() -> demonitor(x) end)] end},
    {demonitor_flush_info_truth, [14], "exits and demonitor(R, [info]) race 2000 times: answers that lied "
        "(true with a DOWN, false without)", fun() ->
        length([lie || _ <- lists:seq(1, 2000), lied([info])]) end},
    {demonitor_flush_leaves_none, [14], "exits and demonitor(R, [flush]) race 2000 times: DOWNs left", fun() ->
        [demonitor_race([flush]) || _ <- lists:seq(1, 2000)], length(mailbox()) end},
    {demonitor_by_non_owner, [15], "demonitor of another process's monitor: plain, [flush], [info]; the "
        "owner's DOWN still comes; without and with alias", fun() ->
        [by_other(idler(), O) || O <- [[], [{alias, demonitor}]]] end},
    {monitor_lists_cleaned, [16], "lengths of monitors here, monitored_by there: live, after demonitor, "
        "after DOWN, after the watcher's end", fun() ->
        P = idler(), Me = self(), Count = fun() ->
            {length(info(Me, monitors)), length(info(P, monitored_by))} end, R = monitor(process, P),
        A = Count(), demonitor(R), B = Count(), Q = idler(), RQ = monitor(process, Q), exit(Q, x), reason(RQ),
        C = length(info(Me, monitors)), {_, M} = spawn_monitor(fun() -> monitor(process, P) end), reason(M),
        until(fun() -> info(P, monitored_by) =:= [] end), [A, B, C, Count()] end},
    {monitors_info_shows_name, [16], "process_info monitors of a monitor by name", fun() ->
        register(mi, P = idler()), monitor(process, mi), I = info(self(), monitors), exit(P, x), I end}].

queued_down() -> P = idler(), R = monitor(process, P), exit(P, x),
    until(fun() -> info(self(), message_queue_len) =:= 1 end), R.
by_other(P, Options) ->
    R = monitor(process, P, Options), Me = self(),
    spawn(fun() -> Me ! [c(fun() -> demonitor(R) end), c(fun() -> demonitor(R, [flush]) end),
        c(fun() -> demonitor(R, [info]) end)] end),
    A = receive L when is_list(L) -> L end, exit(P, bye), {A, reason(R)}.
demonitor_race(Options) -> {_, R} = spawn_monitor(fun() -> ok end), {R, demonitor(R, Options)}.
lied(Options) ->
    {R, Live} = demonitor_race(Options),
    receive {'DOWN', R, _, _, _} -> Live after 0 -> not Live end.

%% --- aliases

aliases() -> [
    {alias_after_unalias, [17, 51], "a message sent to oneself by alias just before unalias, and one after",
        fun() ->
        A = alias(), A ! one, true = unalias(A), A ! two, {absent(), absent()} end},
    {alias_delivers, [17], "two messages by an alias, received before unalias, one after", fun() ->
        A = alias(), A ! one, X = get1(), A ! two, Y = get1(), unalias(A), A ! three, [X, Y, absent()] end},
    {alias_reply_once, [17, 51], "alias([reply]): two messages", fun() ->
        A = alias([reply]), A ! one, A ! two, {absent(), absent()} end},
    {alias_monitor_reply_demonitor, [17, 51], "reply_demonitor: a reply, then the process is killed", fun() ->
        P = idler(), A = monitor(process, P, [{alias, reply_demonitor}]), A ! reply, exit(P, kill),
        {absent(), absent()} end},
    {unalias_twice, [17, 51], "unalias twice", fun() -> A = alias(), {unalias(A), unalias(A)} end},
    {unalias_by_other, [17], "unalias by a process that does not own it; the alias still works", fun() ->
        A = alias(), Me = self(), spawn(fun() -> Me ! {answer, c(fun() -> unalias(A) end)} end),
        R = receive {answer, X} -> X end, A ! hello, {R, get1()} end},
    {unalias_reply_used, [17], "unalias of a reply alias that was used", fun() ->
        A = alias([reply]), A ! one, X = get1(), {X, unalias(A)} end},
    {alias_of_dead_owner, [17], "a send to the alias of a dead process", fun() ->
        Me = self(), {_, M} = spawn_monitor(fun() -> Me ! {alias, alias()} end), reason(M),
        receive {alias, A} -> c(fun() -> A ! x end) end end},
    {alias_not_an_alias, [17], "a send to a ref that is no alias", fun() ->
        {c(fun() -> make_ref() ! x end), absent()} end},
    {alias_plain_monitor_ref, [17], "a send to the ref of a monitor without alias", fun() ->
        R = monitor(process, idler()), {c(fun() -> R ! x end), absent()} end},
    {alias_takes_only_messages, [17], "exit/2, link, monitor and register with an alias", fun() ->
        A = alias(), [c(fun() -> exit(A, x) end), c(fun() -> link(A) end),
            c(fun() -> monitor(process, A) end), c(fun() -> register(al, A) end)] end},
    {alias_from_other_process, [17], "a message by alias from another process keeps its place among that "
        "process's messages", fun() ->
        A = alias(), Me = self(), spawn(fun() -> Me ! 1, A ! 2, Me ! 3 end), [get1(), get1(), get1()] end},
    {alias_reply_first_of_two_senders, [17], "reply alias: the second sender's message is dropped", fun() ->
        A = alias([reply]), spawn(fun() -> A ! x end), X = get1(), spawn(fun() -> A ! y end),
        [X, absent()] end},
    {alias_bad_option, [17], "alias([bad]), monitor with alias bad", fun() ->
        [c(fun() -> alias([bad]) end), c(fun() -> monitor(process, self(), [{alias, bad}]) end)] end}].

%% Every kind of alias against what happens to it; got is a message that came, none one that did not.
alias_table() ->
    [row(Mode, Event) || Mode <- [explicit_unalias, demonitor, reply_demonitor],
        Event <- [second_message, demonitor, down, unalias, demonitor_info_after_message, noproc]].

row(Mode, Event) ->
    {lists:join("/", ["alias", atom_to_list(Mode), atom_to_list(Event)]), [17],
        "monitor with alias: what comes by the alias, and of the monitor", #{mode => Mode, event => Event},
     fun() -> P = case Event of noproc -> dead(); _ -> idler() end, R = monitor(process, P, [{alias, Mode}]),
         event(Event, P, R) end}.

%% [first message, second message, DOWN when the process is killed after the first]
event(second_message, P, R) -> R ! one, X = get1(), R ! two, Y = absent(), exit(P, kill),
    [X, Y, down_or_none(R)];
%% [a message after demonitor, unalias after that]
event(demonitor, _, R) -> demonitor(R), R ! one, [absent(), unalias(R)];
%% [reason, a message after DOWN, unalias after that]
event(down, P, R) -> exit(P, kill), D = reason(R), R ! one, [D, absent(), unalias(R)];
%% [unalias, a message after it, DOWN]
event(unalias, P, R) -> U = unalias(R), R ! one, X = absent(), exit(P, kill), [U, X, down_or_none(R)];
%% [first message, whether the monitor was live after it]
event(demonitor_info_after_message, _, R) -> R ! one, [get1(), demonitor(R, [info])];
%% [reason of a dead process, a message after DOWN]
event(noproc, _, R) -> D = reason(R), R ! one, [D, absent()].

down_or_none(R) -> receive {'DOWN', R, _, _, W} -> W after 50 -> none end.

%% --- spawn requests

spawn_requests() -> [
    {spawn_request_bad_fun_reply, [19, 51], "spawn_request of a fun", fun() ->
        R = spawn_request(fun() -> ok end), receive {spawn_reply, R, ok, _} -> spawn_reply_ok after 500 ->
            none end end},
    {spawn_request_reply_precedes_child_signals, [19], "the child sends and exits at once, with link and "
        "monitor, 500 times: the orders of reply, message, first of EXIT and DOWN", fun() ->
        process_flag(trap_exit, true), times(500, fun order/0) end},
    {spawn_request_reply_options, [19], "reply yes, no, error_only, success_only: the messages of a child "
        "that does nothing", fun() ->
        [begin spawn_request(fun() -> ok end, [{reply, O}]), mailbox() end
            || O <- [yes, no, error_only, success_only]] end},
    {spawn_request_reply_tag, [19], "reply_tag", fun() ->
        spawn_request(fun() -> ok end, [{reply_tag, t}]), get1() end},
    {spawn_request_bad_option, [19], "an unknown option, with each reply option", fun() ->
        [begin R = c(fun() -> spawn_request(fun() -> ok end, [{reply, O}, {bad, option}]) end),
            {R, mailbox()} end || O <- [yes, no, error_only, success_only]] end},
    {spawn_request_no_fun, [19], "spawn_request(7), spawn(7)", fun() ->
        [c(fun() -> spawn_request(7) end), c(fun() -> spawn(7) end)] end},
    {spawn_request_abandon_at_once, [19], "a local request with link, abandoned by the next call, 50 times: the "
        "answers, the replies", fun() ->
        times(50, fun() ->
            R = spawn_request(fun probes:idle/0, [link]), A = spawn_request_abandon(R),
            {A, receive {spawn_reply, R, Result, _} -> Result after 100 -> none end} end) end},
    {spawn_request_abandon_after_reply, [19], "abandon after the reply was received", fun() ->
        R = spawn_request(fun() -> ok end), receive {spawn_reply, R, ok, _} ->
            spawn_request_abandon(R) end end},
    {spawn_request_monitor_ref_is_request, [19], "the ref of a spawn_request with monitor: in the reply, in "
        "DOWN", fun() ->
        R = spawn_request(fun() -> exit(early) end, [monitor]),
        [receive {spawn_reply, R, ok, _} -> reply end, receive {'DOWN', R, _, _, W} -> W end] end},
    {spawn_opt_link_monitor, [19], "spawn_opt link and monitor of a child that exits early, when trapping: "
        "both reasons", fun() ->
        process_flag(trap_exit, true), {P, M} = spawn_opt(fun() -> exit(early) end, [link, monitor]),
        [reason(M), receive {'EXIT', P, R} -> R end] end},
    {spawn_undef, [19], "spawn of a function that does not exist", fun() ->
        {_, M} = spawn_monitor(nosuchmod, f, []), reason(M) end},
    {spawn_links_nothing, [19], "a child of a plain spawn exits oops: the message that its trapping parent gets",
        fun() ->
        process_flag(trap_exit, true), spawn(fun() -> exit(oops) end), absent(100) end}].

order() ->
    Me = self(), R = spawn_request(fun() -> Me ! child, exit(x) end, [link, monitor]),
    L = [kind(get1(), R) || _ <- lists:seq(1, 4)],
    lists:sublist(L, 2) ++ lists:sort(lists:nthtail(2, L)).
kind({spawn_reply, R, ok, _}, R) -> reply;
kind({'DOWN', R, _, _, x}, R) -> down;
kind({'EXIT', _, x}, _) -> exit;
kind(child, _) -> message.

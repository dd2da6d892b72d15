%% Names, timers and process information on one node.
-module(probes_names).
-export([probes/0]).
-import(probes, [c/1, ex/1, get1/0, absent/0, idler/0, linked_idler/0, idle/0, dead/0, down/1, reason/1,
    mailbox/0, until/1, info/2, times/2]).

probes() -> sends() ++ names() ++ timers() ++ infos().

%% --- sends

sends() -> [
    {send_dead_pid, [51], "Dead ! x", fun() -> c(fun() -> dead() ! x end) end},
    {send_unregistered_name, [22, 51], "name ! x, when nobody has the name", fun() ->
        c(fun() -> no_such_name ! x end) end},
    {send_unregistered_name_node_tuple, [24, 51], "{name, node()} ! x, when nobody has the name", fun() ->
        c(fun() -> {no_such_name, node()} ! x end) end},
    {send_registered_name, [22], "name ! x and {name, node()} ! y, when we have the name", fun() ->
        register(snd, self()), [snd ! x, {snd, node()} ! y, get1(), get1()] end},
    {send_bad_destination, [22], "7 ! x", fun() -> c(fun() -> 7 ! x end) end}].

%% --- names

names() -> [
    {whereis_none, [22, 51], "whereis of a free name", fun() -> whereis(no_such_name) end},
    {register_taken_name, [22, 51], "register(taken, self())", fun() ->
        register(nm, idler()), c(fun() -> register(nm, self()) end) end},
    {register_second_name_same_pid, [22, 51], "a second name for a process", fun() ->
        P = idler(), register(nm1, P), c(fun() -> register(nm2, P) end) end},
    {register_dead_pid, [22, 51], "register(name, Dead)", fun() -> c(fun() -> register(nm3, dead()) end) end},
    {unregister_missing, [22, 51], "unregister of a free name", fun() -> c(fun() -> unregister(nm9) end) end},
    {register_errors, [22], "register of the same name and pid again; of undefined; of a number; of a name "
        "for a non-pid; whereis(7)", fun() ->
        register(re, self()), [c(fun() -> register(N, P) end)
            || {N, P} <- [{re, self()}, {undefined, idler()}, {7, idler()},
            {re2, x}]] ++ [c(fun() -> whereis(7) end)] end},
    {register_again_after_unregister, [22], "register, unregister, whereis, register another name, the old "
        "one by another process", fun() ->
        register(ra, self()), unregister(ra), A = whereis(ra), register(rb, self()),
        [A, whereis(rb) =:= self(), register(ra, idler())] end},
    {unregister_by_other, [22], "a process that does not have the name unregisters it", fun() ->
        register(ub, idler()), [unregister(ub), whereis(ub)] end},
    {registered_lists_names, [22], "registered() has our name while we have it", fun() ->
        A = lists:member(rl, registered()), register(rl, self()), [A, lists:member(rl, registered())] end},
    {name_gone_when_DOWN_seen, [23, 51], "whereis(name) after its DOWN", fun() ->
        P = idler(), register(ng, P), M = monitor(process, P), P ! stop, reason(M), whereis(ng) end},
    {name_free_when_DOWN, [23], "after DOWN: whereis and a register of the name, 200 times", fun() ->
        times(200, fun() -> P = idler(), register(nf, P), M = monitor(process, P), exit(P, kill), reason(M),
            A = whereis(nf), register(nf, self()), unregister(nf), A end) end},
    {name_free_when_EXIT, [23], "whereis(name) after a link's EXIT, 200 times", fun() ->
        process_flag(trap_exit, true), times(200,
            fun() -> P = linked_idler(), register(ne, P), P ! stop,
            receive {'EXIT', P, _} -> whereis(ne) end end) end},
    {name_free_when_not_alive, [23, 49], "exit(P, kill), is_process_alive(P), whereis(name), 200 times",
        fun() ->
        times(200, fun() -> P = idler(), register(na, P), exit(P, kill),
            {is_process_alive(P), whereis(na)} end) end}].

%% --- timers

timers() -> [
    {timer_start_msg, [51], "start_timer", fun() ->
        R = erlang:start_timer(5, self(), hello),
        case get1() of {timeout, R, hello} -> timeout_ref_msg; O -> O end end},
    {timer_cancel_live_is_int, [51], "cancel_timer of a live timer gives a number", fun() ->
        is_integer(erlang:cancel_timer(erlang:send_after(1000, self(), x))) end},
    {timer_cancel_after_fire, [51], "cancel_timer after firing, and the message", fun() ->
        R = erlang:send_after(1, self(), late), until(fun() -> info(self(), message_queue_len) =:= 1 end),
        {erlang:cancel_timer(R), absent()} end},
    {timer_cancel_twice, [{3, 4}], "the second cancel_timer; the message", fun() ->
        R = erlang:send_after(50, self(), x), erlang:cancel_timer(R), {erlang:cancel_timer(R), absent()} end},
    {timer_cancel_by_other, [{3, 4}], "another process cancels the timer: it gets a number; the message",
        fun() ->
        Me = self(), R = erlang:send_after(1000, Me, x),
        spawn(fun() -> Me ! {is_number, is_integer(erlang:cancel_timer(R))} end), [get1(), absent()] end},
    {timer_cancel_unknown, [{3, 4}], "cancel_timer of a ref that is no timer, of no ref", fun() ->
        [erlang:cancel_timer(make_ref()), c(fun() -> erlang:cancel_timer(x) end)] end},
    {timer_to_dead_pid, [51], "send_after to a dead process gives a ref", fun() ->
        c(fun() -> is_reference(erlang:send_after(1, dead(), x)) end) end},
    {timer_of_dead_target_is_cancelled, [{3, 4}], "send_after to a process that then dies: cancel_timer",
        fun() ->
        P = idler(), R = erlang:send_after(60000, P, x), exit(P, kill), down(P),
        until(fun() -> erlang:read_timer(R) =:= false end), erlang:cancel_timer(R) end},
    {timer_of_dead_creator_fires, [{3, 4}], "the process that made the timer dies before it fires", fun() ->
        Me = self(), {_, M} = spawn_monitor(fun() -> erlang:send_after(30, Me, x) end), reason(M),
        get1() end},
    {timer_to_name_resolved_at_expiry, [{3, 4}], "send_after to a name that is registered only later",
        fun() ->
        erlang:send_after(50, tn, x), register(tn, self()), get1() end},
    {timer_to_unregistered_name, [{3, 4}], "send_after to a name that nobody has", fun() ->
        c(fun() -> is_reference(erlang:send_after(1, nobody_at_all, x)) end) end},
    {timer_bad_argument, [{3, 4}], "send_after(-1), send_after to a number, send_after(1.5)", fun() ->
        [c(fun() -> erlang:send_after(T, D, x) end) || {T, D} <- [{-1, self()}, {1, 7}, {1.5, self()}]] end},
    {timers_fire_by_deadline, [{3, 4}], "timers of 60, 40, 20 ms set in this order", fun() ->
        [erlang:send_after(T, self(), T) || T <- [60, 40, 20]], [get1(), get1(), get1()] end},
    {timer_zero, [{3, 4}], "send_after(0) to oneself", fun() -> erlang:send_after(0, self(), x), get1() end}].

%% --- process information

infos() -> [
    {process_info_dead, [49, 51], "process_info(Dead)", fun() -> process_info(dead()) end},
    {process_info_dead_item, [49], "process_info(Dead, links)", fun() -> process_info(dead(), links) end},
    {process_info_item_unregistered, [51], "registered_name of a process without one", fun() ->
        process_info(self(), registered_name) end},
    {process_info_item_registered, [{3, 4}], "registered_name of a process with one", fun() ->
        register(ii, self()), process_info(self(), registered_name) end},
    {process_info_self_keys, [51], "the keys of process_info(self())", fun() ->
        [K || {K, _} <- process_info(self())] end},
    {process_info_items, [{3, 4}], "several items of an idle process", fun() ->
        Me = self(), P = spawn(fun() -> process_flag(trap_exit, true), Me ! up, receive never -> ok end end),
        receive up -> ok end, P ! 1, P ! 2, link(P), monitor(process, P),
        until(fun() -> info(P, status) =:= waiting end),
        [case process_info(P, I) of {links, L} -> {links, L =:= [Me]};
            {monitored_by, L} -> {monitored_by, L =:= [Me]}; V -> V end
            || I <- [status, message_queue_len, messages, trap_exit, links, monitors, monitored_by,
            priority]] end},
    {process_info_bad_item, [{3, 4}], "an item that does not exist; a name in place of a pid", fun() ->
        [c(fun() -> process_info(self(), nonsense) end), c(fun() -> process_info(nobody, links) end)] end},
    {process_info_dictionary, [{3, 4}], "put/get are in dictionary", fun() ->
        put(k, v), process_info(self(), dictionary) end},
    {is_process_alive_during_exit, [49], "exit(P, kill), then is_process_alive, process_info, "
        "is_process_alive, 500 times", fun() ->
        times(500, fun() -> P = idler(), exit(P, kill),
            [is_process_alive(P), process_info(P, links), is_process_alive(P)] end) end},
    {exiting_process_takes_nothing, [49], "exit(P, oops), then link(P) when trapping, monitor(P), P ! x: "
        "reasons, 500 times", fun() ->
        process_flag(trap_exit, true), times(500,
            fun() -> P = idler(), exit(P, oops), link(P), M = monitor(process, P), P ! x,
            [reason(M), receive {'EXIT', P, R} -> R end] end) end},
    {process_info_after_DOWN, [49], "after DOWN: alive, process_info, in processes()", fun() ->
        P = idler(), M = monitor(process, P), exit(P, kill), reason(M),
        [is_process_alive(P), process_info(P), lists:member(P, processes())] end},
    {process_info_with_big_heap_during_exit, [49], "a process of 10 MB is killed: alive as seen by the "
        "killer, 20 times", fun() ->
        times(20, fun() -> Me = self(), P = spawn(fun() -> L = lists:seq(1, 600000), Me ! up, idle(),
            length(L) end), receive up -> ok end, exit(P, kill),
            [is_process_alive(P), process_info(P, heap_size)] end) end},
    {is_process_alive_self, [49], "is_process_alive(self()), of a name", fun() ->
        [is_process_alive(self()), c(fun() -> is_process_alive(nobody) end)] end},
    {group_leader_is_inherited, [48], "a child has its parent's group leader", fun() ->
        G = idler(), ex(fun() -> group_leader(G, self()),
            {_, M} = spawn_monitor(fun() -> exit(group_leader() =:= G) end), exit(reason(M)) end) end},
    {mailbox_dies_with_process, [{3, 1}], "a name taken over by a new process does not inherit messages",
        fun() ->
        P = idler(), register(mb, P), mb ! x, exit(P, kill), down(P), Me = self(),
        Q = spawn(fun() -> receive go -> Me ! mailbox() end end), register(mb, Q), Q ! go, get1() end}].

%% What two nodes and more promise each other. A probe starts the others itself, as peers, and stops them.
%% In the answers `here` is the node of the probe, `there` the peer's (`third` that of a second one).
-module(probes_nodes).
-export([probes/0, echo/0, mute/0, shout/1, monitored_there/1]).
-import(probes, [c/1, ex/1, get1/0, absent/1, reason/1, mailbox/0, until/1, times/2]).

-define(NOBODY, 'nonode@127.0.0.1').

probes() -> dead() ++ starts() ++ missing() ++ ends() ++ incarnations() ++ connections().

%% --- the dead, and what is only known there

dead() -> [
    {remote_monitor_dead, [51], "monitor of a dead process there", fun() -> with(fun(N) ->
        P = killed(N), monitor(process, P), get1() end) end},
    {remote_link_dead_nontrapping, [9, 51], "link to a dead process there, not trapping: the reason of the end",
        fun() -> with(fun(N) -> P = killed(N), ex(fun() -> true = link(P), _ = get1(), exit(survived) end) end) end},
    {remote_link_dead_trapping, [9, 51], "the same, trapping: the message", fun() -> with(fun(N) ->
        P = killed(N), ex(fun() -> process_flag(trap_exit, true), link(P), exit(get1()) end) end) end},
    {remote_send_unregistered, [24, 51], "{nobody, There} ! x", fun() -> with(fun(N) ->
        c(fun() -> {nobody, N} ! x end) end) end},
    {remote_monitor_name_none, [13, 51], "monitor of {nobody, There}", fun() -> with(fun(N) ->
        monitor(process, {nobody, N}), said(N, get1()) end) end},
    {remote_monitor_name, [13], "a monitor of {name, There}, whose process ends bye", fun() -> with(fun(N) ->
        P = spawn(N, ?MODULE, echo, []), true = erpc:call(N, erlang, register, [named, P]),
        monitor(process, {named, N}), exit(P, bye), said(N, get1()) end) end},
    {remote_is_process_alive, [49, 51], "is_process_alive of a process there", fun() -> with(fun(N) ->
        P = killed(N), c(fun() -> is_process_alive(P) end) end) end},
    {remote_process_info, [49, 51], "process_info of a process there", fun() -> with(fun(N) ->
        P = killed(N), c(fun() -> process_info(P) end) end) end},
    {remote_register, [22, 51], "register(foo, a pid of there)", fun() -> with(fun(N) ->
        P = killed(N), c(fun() -> register(foo, P) end) end) end}].

%% --- starting there

starts() -> [
    {remote_spawn_undef, [20, 51], "spawn_monitor there of a function that does not exist: the reason", fun() ->
        with(fun(N) -> {_, M} = spawn_monitor(N, nosuchmod, f, []), {R, [_ | _]} = reason(M), R end) end},
    {dist_spawn_monitor, [20], "a child there that ends at once, 100 times: the reasons", fun() -> with(fun(N) ->
        times(100, fun() -> {_, M} = spawn_monitor(N, erlang, exit, [early]), reason(M) end) end) end},
    {dist_spawn_signals_after_reply, [19], "a child there sends and ends at once, with link and monitor, 100 times: the "
        "orders of reply, message, first of EXIT and DOWN", fun() -> with(fun(N) ->
        process_flag(trap_exit, true), Self = self(),
        times(100, fun() ->
            R = spawn_request(N, ?MODULE, shout, [Self], [link, monitor]), [kind(R, get1()) || _ <- [1, 2, 3, 4]]
        end) end) end},
    {dist_spawn_parent_ends, [19], "the parent of a child there, linked, ends oops: the child's reason", fun() ->
        with(fun(N) -> Self = self(),
            Parent = spawn(fun() -> Self ! spawn_link(N, ?MODULE, mute, []), receive go -> exit(oops) end end),
            M = monitor(process, get1()), Parent ! go, reason(M) end) end},
    {dist_spawn_nodedown, [19], "spawn_request on a node that has gone: what comes", fun() -> with(fun(N) ->
        P = spawn(N, ?MODULE, mute, []), monitor(process, P), erpc:cast(N, erlang, halt, []), noconnection = reason_of(P),
        until(fun() -> not lists:member(N, nodes()) end),
        R = spawn_request(N, ?MODULE, mute, [], []),
        receive {spawn_reply, R, error, Why} -> Why after 5000 -> none end end) end},
    {remote_spawn_group_leader_is_callers, [48, 51], "the group leader of what is called there is ours", fun() ->
        with(fun(N) -> erpc:call(N, erlang, group_leader, []) =:= group_leader() end) end}].

%% --- a node that is not there

missing() -> [
    {spawn_nonode_monitor, [21, 51], "spawn_monitor on a node that is not: DOWN", fun() ->
        {_, M} = spawn_monitor(?NOBODY, erlang, node, []), reason(M) end},
    {monitor_nonode, [13, 51], "a monitor of {x, a node that is not}", fun() ->
        monitor(process, {x, ?NOBODY}), get1() end},
    {link_nonode, [13], "a link to a pid of a node that is gone, trapping", fun() ->
        {Peer, N} = start([]), P = spawn(N, ?MODULE, mute, []), peer:stop(Peer),
        until(fun() -> not lists:member(N, nodes()) end),
        process_flag(trap_exit, true), link(P), get1() end},
    {send_nonode, [51], "{x, a node that is not} ! hello", fun() -> c(fun() -> {x, ?NOBODY} ! hello end) end}].

%% --- the end of a connection

ends() -> [
    {on_node_halt_messages, [35, 51], "the node of a process that is linked and monitored halts, with monitor_nodes: the "
        "messages, sorted", fun() -> with(fun(N) ->
        P = spawn(N, ?MODULE, mute, []), process_flag(trap_exit, true),
        net_kernel:monitor_nodes(true), monitor(process, P), link(P), erpc:cast(N, erlang, halt, []),
        said(N, lists:sort([get1(), get1(), get1()])) end) end},
    {nodes_after_nodedown, [35, 51], "is the node in nodes() when nodedown is there", fun() -> with(fun(N) ->
        net_kernel:monitor_nodes(true), erpc:cast(N, erlang, halt, []), {nodedown, N} = get1(),
        lists:member(N, nodes()) end) end},
    {disconnect_DOWN, [12, 51], "disconnect_node: the DOWN of a process there", fun() -> with(fun(N) ->
        P = spawn(N, ?MODULE, echo, []), monitor(process, P), erlang:disconnect_node(N), get1() end) end},
    {disconnect_both_ends, [12], "disconnect_node with a link and a monitor in each direction: what the other end saw, after "
        "we have connected again", fun() -> with(fun(N) ->
        process_flag(trap_exit, true), P = spawn(N, ?MODULE, monitored_there, [self()]), ready = get1(), erlang:disconnect_node(N),
        {'EXIT', P, noconnection} = get1(), P ! {self(), seen}, get1() end) end},
    {proc_survives_disconnect_and_autoreconnect, [51], "disconnect_node, then a message to a process there: the answer",
        fun() -> with(fun(N) ->
        P = spawn(N, ?MODULE, echo, []), P ! {self(), 1}, 1 = get1(), erlang:disconnect_node(N), P ! {self(), 2}, get1()
        end) end},
    {monitor_not_reestablished, [51], "the process ends after we have connected again: a second DOWN of the first monitor",
        fun() -> with(fun(N) ->
        P = spawn(N, ?MODULE, echo, []), monitor(process, P), erlang:disconnect_node(N), {'DOWN', _, _, _, noconnection} = get1(),
        M = monitor(process, P), P ! {self(), die}, {reason(M), absent(100)} end) end},
    {lost_exit, [12], "20 linked processes there end as the connection is cut: how many EXITs each of ours gets", fun() ->
        with(fun(N) -> Self = self(),
            Ours = [spawn(fun() -> process_flag(trap_exit, true), P = spawn_link(N, ?MODULE, echo, []), Self ! {up, P},
                receive {'EXIT', P, _} -> ok end, receive count -> Self ! {exits, 1 + length(mailbox())} end end)
                || _ <- lists:seq(1, 20)],
            Theirs = [receive {up, P} -> P end || _ <- Ours],
            [P ! {self(), die} || P <- Theirs], erlang:disconnect_node(N), [O ! count || O <- Ours],
            lists:usort([receive {exits, K} -> K after 5000 -> none end || _ <- Ours]) end) end}].

%% --- another start of the same node

incarnations() -> [
    {creation_differs_after_restart, [38, 51], "creations of two starts: they differ, both over 3", fun() ->
        again(fun(_, _, One, Two) -> {One =/= Two, One > 3, Two > 3} end) end},
    {monitor_pid_of_old_incarnation, [9, 51], "monitor of a pid of the start before", fun() ->
        again(fun(_, P, _, _) -> monitor(process, P), get1() end) end},
    {send_pid_of_old_incarnation, [51], "a message to it", fun() ->
        again(fun(_, P, _, _) -> c(fun() -> P ! x end) end) end},
    {link_pid_of_old_incarnation_trapping, [9, 51], "a link to it, trapping", fun() ->
        again(fun(_, P, _, _) -> ex(fun() -> process_flag(trap_exit, true), link(P), exit(get1()) end) end) end},
    {exit_pid_of_old_incarnation, [51], "exit/2 to it", fun() ->
        again(fun(_, P, _, _) -> c(fun() -> exit(P, kill) end) end) end}].

%% --- who connects with whom

connections() -> [
    {wrong_cookie_connect, [36, 51], "connect_node with another cookie", fun() ->
        strange(fun(N) -> net_kernel:connect_node(N) end) end},
    {per_node_cookie_connect, [36, 51], "the same, when we have set theirs for it", fun() ->
        strange(fun(N) -> erlang:set_cookie(N, wrong), net_kernel:connect_node(N) end) end},
    {hidden_connect, [34, 51], "connect_node with a hidden node", fun() ->
        with(["-hidden"], fun(N) -> net_kernel:connect_node(N) end) end},
    {hidden_not_in_nodes, [34, 51], "is it in nodes(), nodes(hidden), nodes(connected)", fun() -> with(["-hidden"], fun(N) ->
        true = net_kernel:connect_node(N),
        {lists:member(N, nodes()), lists:member(N, nodes(hidden)), lists:member(N, nodes(connected))} end) end},
    {hidden_not_meshed_to_third, [34, 51], "what a third node is connected with, besides us", fun() -> with(fun(Third) ->
        true = net_kernel:connect_node(Third),
        with(["-hidden"], fun(N) -> true = net_kernel:connect_node(N), timer:sleep(200),
            erpc:call(Third, erlang, nodes, [connected]) -- [node()] end) end) end},
    {transitive_mesh, [51], "a third node connects with us: is it soon connected with the other", fun() -> with(fun(One) ->
        true = net_kernel:connect_node(One),
        with(fun(Two) -> true = net_kernel:connect_node(Two),
            until(fun() -> lists:member(One, erpc:call(Two, erlang, nodes, [])) end), true end) end) end},
    {not_allowed_connect, [51], "connect_node with a node that allows others only", fun() ->
        {Peer, N} = alone([]), peer:call(Peer, net_kernel, allow, [['only@127.0.0.1']]),
        Answer = net_kernel:connect_node(N), peer:stop(Peer), Answer end},
    {auto_connect_never_monitor, [33, 51], "dist_auto_connect never: the reason of a monitor", fun() ->
        {Peer, _} = alone(["-kernel", "dist_auto_connect", "never"]),
        Down = peer:call(Peer, ?MODULE, monitored_there, [{never, node()}]), peer:stop(Peer), Down end}].

%% --- helpers

with(F) -> with([], F).
with(Args, F) ->
    {Peer, N} = start(Args),
    try F(N) after stop(Peer) end.

%% A peer that is connected with us, and one that is not.
start(Args) ->
    {Peer, N} = alone(Args),
    true = net_kernel:connect_node(N),
    {Peer, N}.
alone(Args) -> named(peer:random_name(), Args).
named(Name, Args) ->
    {ok, Peer, N} = peer:start(#{name => Name, host => "127.0.0.1", longnames => true, connection => standard_io,
        args => ["-setcookie", atom_to_list(erlang:get_cookie()), "-pa", ".", "-kernel", "logger_level", "none",
            "inet_dist_use_interface", "{127,0,0,1}" | Args]}),
    {Peer, N}.
stop(Peer) -> try peer:stop(Peer) catch exit:_ -> ok end.  % it may have halted, or be about to

%% A pid of the first of two starts of a node, and the creations of both.
again(F) ->
    Name = peer:random_name(),
    {One, N} = named(Name, []),
    P = spawn(N, ?MODULE, mute, []),
    First = erpc:call(N, erlang, system_info, [creation]),
    net_kernel:monitor_nodes(true), stop(One), {nodedown, N} = get1(), net_kernel:monitor_nodes(false),
    {Two, N} = named(Name, []),
    Second = erpc:call(N, erlang, system_info, [creation]),
    try F(N, P, First, Second) after stop(Two) end.

strange(F) ->
    {Peer, N} = alone([]),
    peer:call(Peer, erlang, set_cookie, [wrong]),
    try F(N) after stop(Peer) end.

%% Names of nodes as what they are to the probe.
said(N, {nodedown, N}) -> {nodedown, there};
said(N, {'DOWN', R, process, {Name, N}, Why}) -> {'DOWN', R, process, {Name, there}, Why};
said(N, List) when is_list(List) -> [said(N, X) || X <- List];
said(_, Message) -> Message.

kind(R, {spawn_reply, R, ok, _}) -> reply;
kind(_, shout) -> message;
kind(_, {'EXIT', _, _}) -> 'end';
kind(_, {'DOWN', _, _, _, _}) -> 'end'.

reason_of(P) -> receive {'DOWN', _, _, P, R} -> R after 5000 -> none end.

killed(N) -> P = spawn(N, ?MODULE, mute, []), M = monitor(process, P), exit(P, kill), killed = reason(M), P.

%% --- processes there

echo() -> receive {_, die} -> exit(died); {P, X} -> P ! X, echo() end.
mute() -> receive never -> ok end.
shout(P) -> P ! shout, exit(early).

monitored_there({never, N}) -> {nobody, N} ! x, M = monitor(process, {nobody, N}), reason(M);
monitored_there(P) ->
    process_flag(trap_exit, true), link(P), M = monitor(process, P), P ! ready,
    Exit = receive {'EXIT', P, Why} -> Why after 5000 -> none end,
    Down = reason(M),
    receive {P, seen} -> P ! {Exit, Down} end.

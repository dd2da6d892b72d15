%% Erlang's side of the cases with two nodes. The other node is an emulator of its own, started for each run with a
%% name service on ERL_EPMD_PORT, which has to be nobody else's; both end when the port that holds them is closed.
-module(nodes).
-export([workloads/0, run/2]).
-export([echo/0, sink/2, big_sink/1, greet/1, idle/0, crowd/2, nothing/0, start_server/0]).

-define(MB, 1000000).
-define(PAIRS, 100).
-define(IN_FLIGHT, 500).

workloads() -> [remote, remote_oneway, remote_call, remote_bulk, remote_mixed, remote_connect].

run(Name, Size) ->
    {Other, Port} = start_other(),
    try measure(Name, Size, Other)
    after
        port_close(Port),
        net_kernel:stop()
    end.

%% The other node: a shell that ends both when its standard input ends.
start_other() ->
    Service = list_to_integer(os:getenv("ERL_EPMD_PORT", "4369")),
    Id = integer_to_list(erlang:unique_integer([positive])) ++ "x" ++ os:getpid(),
    Other = list_to_atom("other" ++ Id ++ "@127.0.0.1"),
    Command = io_lib:format(
        "epmd -address 127.0.0.1 -port ~b 2>/dev/null & E=$!; sleep 0.1; "
        "erl -noshell -noinput -start_epmd false -name ~s -setcookie bench -pa ~s "
        "-kernel inet_dist_use_interface '{127,0,0,1}' -kernel prevent_overlapping_partitions false "
        "</dev/null & N=$!; cat >/dev/null; kill -9 $N $E 2>/dev/null",
        [Service, Other, filename:dirname(code:which(?MODULE))]),
    Port = open_port({spawn_executable, "/bin/sh"}, [{args, ["-c", lists:flatten(Command)]}]),
    await_service(Service, 200),
    application:set_env(kernel, inet_dist_use_interface, {127, 0, 0, 1}),
    application:set_env(kernel, prevent_overlapping_partitions, false),
    {ok, _} = net_kernel:start([list_to_atom("bench" ++ Id ++ "@127.0.0.1"), longnames]),
    erlang:set_cookie(node(), bench),
    await_node(Other, 200),
    {Other, Port}.

await_service(_, 0) -> exit(no_epmd);
await_service(Port, Left) ->
    case gen_tcp:connect({127, 0, 0, 1}, Port, []) of
        {ok, Socket} -> gen_tcp:close(Socket);
        _ -> timer:sleep(20), await_service(Port, Left - 1)
    end.

await_node(_, 0) -> exit(no_other_node);
await_node(Node, Left) ->
    case net_kernel:connect_node(Node) of
        true -> ok;
        _ -> timer:sleep(50), await_node(Node, Left - 1)
    end.

measure(remote, N, Other) ->
    Echo = spawn(Other, ?MODULE, echo, []),
    _ = timed(fun() -> ping(Echo) end, max(1, N div 10)),
    Took = timed(fun() -> ping(Echo) end, N),
    Each = max(1, N * 4 div ?PAIRS),
    Me = self(),
    Pairs = [spawn_link(fun() -> Echoed = spawn(Other, ?MODULE, echo, []), ping(Echoed), Me ! up,
                                 receive go -> ok end, pings(Echoed, Each), Me ! done end)
             || _ <- lists:seq(1, ?PAIRS)],
    [receive up -> ok end || _ <- Pairs],
    Began = now_ns(),
    [Pair ! go || Pair <- Pairs],
    [receive done -> ok end || _ <- Pairs],
    [{"remote.p50", percentile_us(Took, 0.5)}, {"remote.p99", percentile_us(Took, 0.99)},
     {"remote.pairs", per_second(Each * ?PAIRS, Began)}];
measure(remote_oneway, N, Other) ->
    [{"remote_oneway", into_other(Other, 1, N)}, {"remote_oneway.hundred", into_other(Other, 100, N div 100)}];
measure(remote_call, N, Other) ->
    Echo = spawn(Other, ?MODULE, echo, []),
    {ok, Server} = erpc:call(Other, ?MODULE, start_server, []),
    Call = fun() -> gen_server:call(Server, {get, 1}) end,
    Function = fun() -> erpc:call(Other, ?MODULE, nothing, []) end,
    Spawn = fun() -> spawn(Other, ?MODULE, greet, [self()]), receive here -> ok end end,
    [_ = timed(F, max(1, N div 10)) || F <- [Call, Function, Spawn]],
    Bare = timed(fun() -> ping(Echo) end, N),
    Calls = timed(Call, N),
    Functions = timed(Function, N),
    Spawns = timed(Spawn, max(1, N div 4)),
    [{"remote_call.pingpong", percentile_us(Bare, 0.5)},
     {"remote_call.server", percentile_us(Calls, 0.5)}, {"remote_call.server.p99", percentile_us(Calls, 0.99)},
     {"remote_call.function", percentile_us(Functions, 0.5)},
     {"remote_call.function.p99", percentile_us(Functions, 0.99)},
     {"remote_call.spawn", percentile_us(Spawns, 0.5)},
     {"remote_call.pipelined", many_callers(Call, N * 10)},
     {"remote_call.pipelined.one",
      in_flight(fun() -> gen_server:send_request(Server, {get, 1}) end,
                fun(Request) -> {reply, 1} = gen_server:receive_response(Request, infinity) end, N * 10)},
     {"remote_call.pipelined.function",
      in_flight(fun() -> erpc:send_request(Other, ?MODULE, nothing, []) end,
                fun erpc:receive_response/1, N * 4)}];
measure(remote_bulk, Megabytes, Other) ->
    lists:append([begin
        Binary = big(Size),
        N = max(1, Megabytes div Size),
        Sink = spawn(Other, ?MODULE, big_sink, [self()]),
        waited(Sink, Binary, 2),
        BeganWait = now_ns(),
        waited(Sink, Binary, N),
        Wait = per_second(N * Size, BeganWait),
        BeganStream = now_ns(),
        streamed(Sink, Binary, N),
        Label = "remote_bulk." ++ integer_to_list(Size) ++ "MB.",
        [{Label ++ "wait", Wait}, {Label ++ "stream", per_second(N * Size, BeganStream)}, {Label ++ "bytes", Wait}]
    end || Size <- [1, 16, 64]]);
measure(remote_mixed, Megabytes, Other) ->
    Echo = spawn(Other, ?MODULE, echo, []),
    Idle = timed(fun() -> ping(Echo) end, 1000),
    Me = self(),
    Sink = spawn(Other, ?MODULE, big_sink, [self()]),
    Player = spawn_link(fun() -> Me ! {small, until_enough(Echo, [])} end),
    N = max(1, Megabytes div 64),
    Binary = big(64),
    Began = now_ns(),
    waited(Sink, Binary, N, Me),
    Bulk = per_second(N * 64, Began),
    Player ! enough,
    Took = receive {small, Times} -> Times end,
    [{"remote_mixed.idle", percentile_us(Idle, 0.5)}, {"remote_mixed.p50", percentile_us(Took, 0.5)},
     {"remote_mixed.p99", percentile_us(Took, 0.99)}, {"remote_mixed.bulk", Bulk}];
measure(remote_connect, N, Other) ->
    Took = [connect(Other) || _ <- lists:seq(1, min(12, N))],
    Many = min(10000, 100 * N),
    spawn(Other, ?MODULE, crowd, [Many, self()]),
    Pids = receive {crowd, Crowd} -> Crowd end,
    Began = now_ns(),
    [demonitor(monitor(process, Pid), [flush]) || Pid <- Pids],
    pong = net_adm:ping(Other),
    Monitors = per_second(Many, Began),
    Refs = [monitor(process, Pid) || Pid <- Pids],
    Killed = erpc:call(Other, os, getpid, []),
    net_kernel:monitor_nodes(true),
    Shell = open_port({spawn, "/bin/sh"}, []),
    timer:sleep(200),
    BeganDown = now_ns(),
    port_command(Shell, "kill -9 " ++ Killed ++ "\n"),
    receive {nodedown, Other} -> ok end,
    Down = now_ns() - BeganDown,
    [receive {'DOWN', Ref, _, _, _} -> ok end || Ref <- Refs],
    Downs = now_ns() - BeganDown,
    port_close(Shell),
    [{"remote_connect.p50", percentile_us(Took, 0.5) / 1000}, {"remote_connect.p99", percentile_us(Took, 0.99) / 1000},
     {"remote_connect.down", Down / 1.0e6}, {"remote_connect.downs", Downs / 1.0e6},
     {"remote_connect.monitor", Monitors}].

%% What runs on the other node.
echo() -> receive {ping, From} -> From ! {pong, self()}, echo() end.
sink(0, From) -> From ! done;
sink(N, From) -> receive {message, _} -> sink(N - 1, From) end.
big_sink(From) -> receive {big, Binary} -> From ! byte_size(Binary), big_sink(From) end.
greet(From) -> From ! here.
idle() -> receive stop -> ok end.
crowd(N, From) -> From ! {crowd, [spawn(?MODULE, idle, []) || _ <- lists:seq(1, N)]}, idle().
nothing() -> ok.
start_server() -> gen_server:start(bench, server, []).

ping(Echo) -> Echo ! {ping, self()}, receive {pong, _} -> ok end.
pings(_, 0) -> ok;
pings(Echo, N) -> ping(Echo), pings(Echo, N - 1).

into_other(Other, Senders, Each0) ->
    Each = max(1, Each0),
    Payload = binary:copy(<<"x">>, 100),
    Sink = spawn(Other, ?MODULE, sink, [Senders * Each, self()]),
    Began = now_ns(),
    [spawn_link(fun() -> sends(Sink, Each, Payload) end) || _ <- lists:seq(1, Senders)],
    receive done -> ok end,
    per_second(Senders * Each, Began).
sends(_, 0, _) -> ok;
sends(Sink, N, Payload) -> Sink ! {message, Payload}, sends(Sink, N - 1, Payload).

many_callers(Call, N) ->
    Each = max(1, N div ?PAIRS),
    Me = self(),
    Began = now_ns(),
    Callers = [spawn_link(fun() -> calls(Call, Each), Me ! done end) || _ <- lists:seq(1, ?PAIRS)],
    [receive done -> ok end || _ <- Callers],
    per_second(Each * ?PAIRS, Began).
calls(_, 0) -> ok;
calls(Call, N) -> Call(), calls(Call, N - 1).

in_flight(Start, Finish, N) ->
    Rounds = max(1, N div ?IN_FLIGHT),
    Each = min(N, ?IN_FLIGHT),
    Began = now_ns(),
    [[Finish(Request) || Request <- [Start() || _ <- lists:seq(1, Each)]] || _ <- lists:seq(1, Rounds)],
    per_second(Rounds * Each, Began).

big(Megabytes) -> binary:copy(rand:bytes(1000), Megabytes * 1000).
waited(_, _, 0) -> ok;
waited(Sink, Binary, N) -> Sink ! {big, Binary}, receive Size when is_integer(Size) -> ok end, waited(Sink, Binary, N - 1).
waited(Sink, Binary, N, _) -> waited(Sink, Binary, N).
streamed(Sink, Binary, N) ->
    [Sink ! {big, Binary} || _ <- lists:seq(1, N)],
    [receive Size when is_integer(Size) -> ok end || _ <- lists:seq(1, N)].

until_enough(Echo, Took) ->
    receive enough -> Took
    after 0 ->
        Began = now_ns(),
        ping(Echo),
        until_enough(Echo, [now_ns() - Began | Took])
    end.

%% What global still has to say after a connection would connect again: it has time for that first.
connect(Other) ->
    timer:sleep(400),
    net_kernel:monitor_nodes(true),
    erlang:disconnect_node(Other),
    receive {nodedown, Other} -> ok end,
    timer:sleep(60),
    [] = nodes(),
    Began = now_ns(),
    true = net_kernel:connect_node(Other),
    Took = now_ns() - Began,
    receive {nodeup, Other} -> ok end,
    net_kernel:monitor_nodes(false),
    Took.

now_ns() -> erlang:monotonic_time(nanosecond).
per_second(N, Began) -> N * 1.0e9 / max(1, now_ns() - Began).
timed(F, N) -> timed(F, N, []).
timed(_, 0, Took) -> Took;
timed(F, N, Took) ->
    Began = now_ns(),
    F(),
    timed(F, N - 1, [now_ns() - Began | Took]).
percentile_us(Took, Fraction) ->
    Ranked = lists:sort(Took),
    lists:nth(min(length(Ranked), trunc(Fraction * length(Ranked)) + 1), Ranked) / 1000.

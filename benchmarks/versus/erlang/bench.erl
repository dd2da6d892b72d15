%% Erlang's side: the same workloads, the same counts, the same small tuples.
%%
%% Reads lines "WORKLOAD SIZE", writes one JSON line for each; ends when its input ends. Every run has a
%% process of its own with a fresh heap. It is a gen_server and a supervisor as well, for the workloads
%% that need one.
-module(bench).
-export([main/0]).
-export([start_child/1, init/1, handle_call/3, handle_cast/2, handle_info/2]).

main() ->
    logger:set_primary_config(level, none),
    io:format("{\"workloads\": [~s], \"versions\": {\"erlang\": \"~s\"}, \"loop\": \"~b schedulers\"}~n",
              [lists:join(", ", [io_lib:format("\"~s\"", [Name]) || Name <- workloads()]),
               erlang:system_info(otp_release), erlang:system_info(schedulers_online)]),
    serve().

workloads() ->
    [pingpong, oneway, fanin, ring, spawn, call, selective, memory, memory_server, supervisor, timers
     | nodes:workloads()].

serve() ->
    case io:get_line("") of
        eof -> halt(0);
        Line ->
            [Name, Size] = string:lexemes(string:trim(Line), " "),
            answer(list_to_atom(Name), list_to_integer(Size)),
            serve()
    end.

answer(Name, Size) ->
    erlang:garbage_collect(),
    {Pid, Monitor} = spawn_monitor(fun() -> exit({figures, run(Name, Size)}) end),
    receive
        {'DOWN', Monitor, process, Pid, {figures, Figures}} ->
            Pairs = [io_lib:format("\"~s\": ~.6f", [Key, Value * 1.0]) || {Key, Value} <- Figures],
            io:format("{~s}~n", [lists:join(", ", Pairs)]);
        {'DOWN', Monitor, process, Pid, Reason} ->
            Text = [C || C <- lists:flatten(io_lib:format("~0p", [Reason])), C =/= $", C =/= $\\],
            io:format("{\"error\": \"~s\"}~n", [Text])
    end.

%% Ping-pong: two processes, one message in flight.
run(pingpong, N) ->
    Ponger = spawn_link(fun ponger/0),
    Began = now_ns(),
    ping(Ponger, N),
    Rate = per_second(N, Began),
    stop(Ponger),
    [{"pingpong", Rate}];
run(oneway, N) -> [{"oneway", into_one(1, N)}];
run(fanin, N) -> [{"fanin", into_one(100, max(1, N div 100))}];
%% A token goes round a thousand processes.
run(ring, Laps) ->
    Me = self(),
    First = spawn_link(fun() -> receive {next, Next} -> ring_node(Next, Me) end end),
    Last = lists:foldl(fun(_, Next) -> spawn_link(fun() -> ring_node(Next, Me) end) end,
                       First, lists:seq(2, 1000)),
    First ! {next, Last},
    Began = now_ns(),
    Last ! {token, Laps * 1000},
    receive done -> ok end,
    Rate = per_second(Laps * 1000, Began),
    stop(First),
    [{"ring", Rate}];
run(spawn, N) ->
    Began = now_ns(),
    spawn_each(N),
    OneByOne = per_second(N, Began),
    Batch = min(N, 1000),
    BeganBatch = now_ns(),
    spawn_batches(N div Batch, Batch),
    [{"spawn", OneByOne}, {"spawn.batch", per_second(N div Batch * Batch, BeganBatch)}];
run(call, N) ->
    {ok, Server} = gen_server:start_link(?MODULE, server, []),
    Began = now_ns(),
    calls(Server, N),
    Rate = per_second(N, Began),
    Took = timed(fun() -> gen_server:call(Server, {get, 1}) end, max(1, N div 4)),
    BeganCasts = now_ns(),
    casts(Server, N),
    gen_server:call(Server, {get, 1}),
    Casts = per_second(N, BeganCasts),
    gen_server:stop(Server),
    [{"call.rate", Rate}, {"call.p50", percentile_us(Took, 0.5)},
     {"call.p99", percentile_us(Took, 0.99)}, {"cast", Casts}];
%% N receives behind 10 000 messages that do not match; calls with and without them.
run(selective, N) ->
    {ok, Server} = gen_server:start_link(?MODULE, server, []),
    Ask = fun() -> gen_server:call(Server, {get, 1}) end,
    _ = timed(Ask, N),
    Quiet = timed(Ask, N * 10),
    [self() ! {unwanted, I} || I <- lists:seq(1, 10000)],
    Began = now_ns(),
    wanted(N),
    Each = 1.0e6 / per_second(N, Began),
    Behind = timed(Ask, N * 10),
    gen_server:stop(Server),
    [{"selective", Each}, {"call.quiet", percentile_us(Quiet, 0.5)},
     {"call.behind", percentile_us(Behind, 0.5)}];
run(memory, N) ->
    Me = self(),
    Before = resident_bytes(),
    Pids = [spawn_link(fun() -> Me ! up, receive stop -> ok end end) || _ <- lists:seq(1, N)],
    [receive up -> ok end || _ <- Pids],
    erlang:garbage_collect(),
    After = resident_bytes(),
    [{"memory.process", (After - Before) / length(Pids)}];
run(memory_server, N) ->
    Before = resident_bytes(),
    Servers = [element(2, gen_server:start_link(?MODULE, server, [])) || _ <- lists:seq(1, N)],
    erlang:garbage_collect(),
    After = resident_bytes(),
    [{"memory.server", (After - Before) / length(Servers)}];
%% A new supervisor for each hundred restarts: it keeps a list of the restarts in its period.
run(supervisor, N) ->
    process_flag(trap_exit, true),
    Restarts = lists:append([restarts(min(100, N)) || _ <- lists:seq(1, max(1, N div 100))]),
    Downs = [kill_to_down() || _ <- lists:seq(1, N)],
    [{"restart", percentile_us(Restarts, 0.5)}, {"kill.down", percentile_us(Downs, 0.5)}];
run(timers, N) ->
    Message = {message, 1},
    Began = now_ns(),
    Refs = [erlang:send_after(3600000, self(), Message) || _ <- lists:seq(1, N)],
    Made = per_second(N, Began),
    BeganCancel = now_ns(),
    lists:foreach(fun erlang:cancel_timer/1, Refs),
    Cancelled = per_second(N, BeganCancel),
    register(looked_up, self()),
    BeganLookUp = now_ns(),
    look_up(N),
    [{"send_after", Made}, {"cancel_timer", Cancelled}, {"whereis", per_second(N, BeganLookUp)}];
%% What takes two nodes.
run(Name, N) -> nodes:run(Name, N).

ping(_, 0) -> ok;
ping(Ponger, N) ->
    Ponger ! {ping, self()},
    receive {pong, _} -> ping(Ponger, N - 1) end.
ponger() ->
    receive {ping, From} -> From ! {pong, self()}, ponger() end.

into_one(Producers, Each) ->
    Me = self(),
    Consumer = spawn_link(fun() -> consume(Producers * Each), Me ! done end),
    Began = now_ns(),
    [spawn_link(fun() -> produce(Consumer, Each) end) || _ <- lists:seq(1, Producers)],
    receive done -> ok end,
    per_second(Producers * Each, Began).
consume(0) -> ok;
consume(N) -> receive {message, _} -> consume(N - 1) end.
produce(_, 0) -> ok;
produce(Consumer, N) -> Consumer ! {message, 1}, produce(Consumer, N - 1).

ring_node(Next, Main) ->
    receive
        {token, 0} -> Main ! done, ring_node(Next, Main);
        {token, Left} -> Next ! {token, Left - 1}, ring_node(Next, Main)
    end.

spawn_each(0) -> ok;
spawn_each(N) ->
    {_, Monitor} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', Monitor, _, _, _} -> spawn_each(N - 1) end.
spawn_batches(0, _) -> ok;
spawn_batches(N, Batch) ->
    Monitors = [element(2, spawn_monitor(fun() -> ok end)) || _ <- lists:seq(1, Batch)],
    [receive {'DOWN', _, _, _, _} -> ok end || _ <- Monitors],
    spawn_batches(N - 1, Batch).

calls(_, 0) -> ok;
calls(Server, N) -> gen_server:call(Server, {get, 1}), calls(Server, N - 1).
casts(_, 0) -> ok;
casts(Server, N) -> gen_server:cast(Server, {add, 1}), casts(Server, N - 1).

wanted(0) -> ok;
wanted(N) -> self() ! {wanted, N}, receive {wanted, _} -> wanted(N - 1) end.

look_up(0) -> ok;
look_up(N) -> true = is_pid(whereis(looked_up)), look_up(N - 1).

restarts(N) ->
    {ok, Supervisor} = supervisor:start_link(?MODULE, {children, self()}),
    Child = receive {up, Pid} -> Pid end,
    Took = restarts(Child, N, []),
    unlink(Supervisor),
    Monitor = monitor(process, Supervisor),
    exit(Supervisor, shutdown),
    receive {'DOWN', Monitor, _, _, _} -> Took end.
restarts(_, 0, Took) -> Took;
restarts(Child, N, Took) ->
    Began = now_ns(),
    exit(Child, kill),
    receive {up, Next} -> restarts(Next, N - 1, [now_ns() - Began | Took]) end.

kill_to_down() ->
    {Pid, Monitor} = spawn_monitor(fun() -> receive stop -> ok end end),
    erlang:yield(),
    Began = now_ns(),
    exit(Pid, kill),
    receive {'DOWN', Monitor, _, _, killed} -> now_ns() - Began end.

stop(Pid) ->
    unlink(Pid),
    exit(Pid, kill).

%% The server and the supervisor's callbacks.
start_child(Parent) -> gen_server:start_link(?MODULE, {child, Parent}, []).
init(server) -> {ok, 0};
init({child, Parent}) -> Parent ! {up, self()}, {ok, 0};
init({children, Parent}) ->
    {ok, {#{strategy => one_for_one, intensity => 1000000, period => 5},
          [#{id => child, start => {?MODULE, start_child, [Parent]}}]}}.
handle_call({get, Value}, _, State) -> {reply, Value, State}.
handle_cast({add, Value}, State) -> {noreply, State + Value}.
handle_info(_, State) -> {noreply, State}.

%% Measuring aids.
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
resident_bytes() ->
    case file:read_file("/proc/self/status") of
        {ok, Status} ->
            {match, [KiB]} = re:run(Status, "VmRSS:\\s+(\\d+)", [{capture, all_but_first, list}]),
            list_to_integer(KiB) * 1024;
        _ -> erlang:memory(total)
    end.

%% gen_server. The callbacks do what the funs that are sent to them say.
-module(probes_server).
-behaviour(gen_server).
-export([probes/0, start/1, start/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_continue/2, handle_info/2, terminate/2]).
-import(probes, [c/1, ex/1, get1/0, absent/0, absent/1, dead/0, down/1, reason/1, mailbox/0]).
-import(probes, [until/1, info/2, logged/1]).

init(F) when is_function(F) -> F();
init(S) -> {ok, S}.
handle_call({sleep, T}, _, S) -> timer:sleep(T), {reply, late, S};
handle_call(crash, _, _) -> error(crashed);
handle_call(bad, _, _) -> not_a_valid_return;
handle_call(ping, _, S) -> {reply, pong, S};
handle_call({stop, R}, _, S) -> {stop, R, S};
handle_call(F, From, S) -> F(From, S).
handle_cast(F, S) -> F(S).
handle_continue(F, S) -> F(S).
handle_info(F, S) when is_function(F, 1) -> F(S);
handle_info(M, #{info := P} = S) -> P ! {handle_info, M}, {noreply, S};
handle_info(_, S) -> {noreply, S}.
terminate(R, #{terminate := F}) when is_function(F) -> F(R);
terminate(R, #{terminate := P}) -> P ! {terminate_called, R};
terminate(_, _) -> ok.

start(S) -> start(S, []).
start(S, Options) -> {ok, G} = gen_server:start(?MODULE, S, Options), G.
named(Name, S) -> {ok, G} = gen_server:start({local, Name}, ?MODULE, S, []), G.

%% What a call raised, without the call's own description, which is {gen_server, call, Arguments}.
cr(F) -> case c(F) of {exit, {R, {gen_server, _, _}}} -> {exit, R}; V -> V end.

probes() -> starts() ++ calls() ++ returns() ++ stops() ++ terminates() ++ logs() ++ requests().

%% --- start

starts() -> [
    {gs_init_stop, [43, 51], "init returns {stop, why}", fun() ->
        gen_server:start(?MODULE, fun() -> {stop, why} end, []) end},
    {gs_init_ignore, [43, 51], "init returns ignore", fun() ->
        gen_server:start(?MODULE, fun() -> ignore end, []) end},
    {gs_init_crash, [43, 51], "init raises", fun() ->
        gen_server:start(?MODULE, fun() -> error(in_init) end, []) end},
    {gs_init_timeout, [43, 51], "init takes longer than the start timeout", fun() ->
        gen_server:start(?MODULE, fun() -> timer:sleep(2000), {ok, s} end, [{timeout, 20}]) end},
    {gs_init_timeout_kills, [43], "is the process whose start timed out alive after the error", fun() ->
        Me = self(), {error, timeout} = gen_server:start(?MODULE,
            fun() -> Me ! self(), timer:sleep(5000), {ok, s} end, [{timeout, 50}]),
        is_process_alive(get1()) end},
    {gs_init_other, [43], "init exits oops, exits normal, throws oops, throws {ok, S}, returns nonsense",
        fun() ->
        [case gen_server:start(?MODULE, F, []) of {ok, P} when is_pid(P) -> ok; R -> R end
            || F <- [fun() -> exit(oops) end, fun() -> exit(normal) end, fun() -> throw(oops) end,
            fun() -> throw({ok, s}) end, fun() -> nonsense end]] end},
    {gs_start_link_init_stop_trapping, [43], "start_link, init stops: the result and the mailbox of a "
        "trapping caller; then ignore", fun() ->
        process_flag(trap_exit, true), [{gen_server:start_link(?MODULE, F, []), mailbox()}
            || F <- [fun() -> {stop, why} end, fun() -> ignore end]] end},
    {gs_start_link_init_stop_nontrapping, [43], "start_link, init stops, stops normal, ignores: "
        "the end of a caller that does not trap", fun() ->
        [ex(fun() -> R = gen_server:start_link(?MODULE, F, []), absent(), exit({survived, R}) end)
            || F <- [fun() -> {stop, why} end, fun() -> {stop, normal} end, fun() -> ignore end]] end},
    {gs_name_free_after_failed_start, [43], "whereis(name) after init stopped, ignored and raised", fun() ->
        [begin gen_server:start({local, gsf}, ?MODULE, F, []), whereis(gsf) end
            || F <- [fun() -> {stop, why} end, fun() -> ignore end, fun() -> error(x) end]] end},
    {gs_name_taken_before_init, [43], "init sees its own name registered", fun() ->
        Me = self(), named(gsn, fun() -> Me ! (whereis(gsn) =:= self()), {ok, s} end), get1() end},
    {gs_already_started, [43, 51], "a second start with a taken name", fun() ->
        G = named(gs5, s), Me = self(), {error, {already_started, P}} = gen_server:start({local, gs5},
            ?MODULE, fun() -> Me ! ran, {ok, s} end, []),
        {error, {already_started, case P of G -> pid end}} end},
    {gs_already_started_init_not_run, [43], "a second start with a taken name: does its init run", fun() ->
        named(gs6, s), Me = self(), gen_server:start({local, gs6}, ?MODULE, fun() -> Me ! ran, {ok, s} end,
            []), absent() end},
    {gs_start_monitor, [43], "start_monitor, then stop: DOWN's reason", fun() ->
        {ok, {G, M}} = gen_server:start_monitor(?MODULE, s, []), gen_server:stop(G), reason(M) end},
    {gs_ancestors, [43], "$ancestors of a server started by a named server: names, and whether the pid is "
        "its starter's", fun() ->
        Me = self(), {ok, G} = gen_server:start({local, gsa}, ?MODULE, s, []),
        gen_server:call(G, fun(_, S) -> {ok, C} = gen_server:start(?MODULE,
            fun() -> Me ! get('$ancestors'), {ok, s} end, []), {reply, C, S} end), [A, B] = get1(),
        [A, B =:= Me] end},
    {gs_initial_continue, [43], "init returns {continue, _}: it runs before a message that is there already",
        fun() ->
        Me = self(), start(fun() -> self() ! fun(S) -> Me ! info, {noreply, S} end,
            {ok, s, {continue, fun(S) -> Me ! continued, {noreply, S} end}} end), [get1(), get1()] end},
    {gs_initial_timeout, [43], "init returns a timeout", fun() ->
        start(fun() -> {ok, #{info => self_of_prober()}, 10} end), get1() end}].

self_of_prober() -> hd(get('$ancestors')).

%% --- call and cast

calls() -> [
    {gs_call_timeout, [43, 51], "a call that times out", fun() ->
        G = start(s), c(fun() -> gen_server:call(G, {sleep, 100}, 10) end) end},
    {gs_late_reply_in_mailbox, [43, 51], "what the late reply leaves in the mailbox", fun() ->
        G = start(s), c(fun() -> gen_server:call(G, {sleep, 100}, 10) end), gen_server:call(G, ping),
        absent() end},
    {gs_call_timeout_no_DOWN_later, [43], "the server dies after a call of ours timed out", fun() ->
        G = start(s), c(fun() -> gen_server:call(G, {sleep, 50}, 10) end), exit(G, kill), down(G),
        absent() end},
    {gs_call_timeout_0, [43], "call with timeout 0", fun() ->
        G = start(s), cr(fun() -> gen_server:call(G, ping, 0) end) end},
    {gs_call_self, [43, 51], "a call to oneself", fun() -> c(fun() -> gen_server:call(self(), x) end) end},
    {gs_call_noproc_pid, [43, 51], "a call to a dead pid", fun() ->
        c(fun() -> gen_server:call(dead(), x) end) end},
    {gs_call_noproc_name, [43, 51], "a call to a name that nobody has", fun() ->
        c(fun() -> gen_server:call(nope, x) end) end},
    {gs_call_by_name, [43], "a call by name and by {name, node()}", fun() ->
        named(gcn, s), [gen_server:call(gcn, ping), gen_server:call({gcn, node()}, ping)] end},
    {gs_cast_noproc, [43, 51], "casts to a name that nobody has", fun() ->
        c(fun() -> gen_server:cast(nope, x) end) end},
    {gs_cast_dead, [43], "cast to a dead pid, to {name, node()}, abcast", fun() ->
        [gen_server:cast(dead(), x), gen_server:cast({nope, node()}, x), gen_server:abcast(nope, x)] end},
    {gs_call_server_crashes, [43, 51], "the server crashes in the call", fun() ->
        G = start(s), c(fun() -> gen_server:call(G, crash) end) end},
    {gs_call_server_dies, [43], "during the call the server exits normal, shutdown, {shutdown, x}, oops; is "
        "killed", fun() ->
        [begin G = start(s), cr(fun() -> gen_server:call(G, F) end) end
            || F <- [fun(_, _) -> exit(normal) end, fun(_, _) -> exit(shutdown) end,
            fun(_, _) -> exit({shutdown, x}) end, fun(_, _) -> exit(oops) end,
            fun(_, _) -> exit(self(), kill), receive after 1000 -> ok end end]] end},
    {gs_call_failed_leaves_nothing, [43], "mailbox and monitors after calls that failed", fun() ->
        G = start(s), c(fun() -> gen_server:call(G, crash) end), c(fun() -> gen_server:call(G, x) end),
        c(fun() -> gen_server:call(nope, x) end), {mailbox(), info(self(), monitors)} end},
    {gs_call_with_huge_message_queue, [43], "a call with 100000 messages in the caller's mailbox; how many "
        "are left, in order", fun() ->
        G = start(s), [self() ! I || I <- lists:seq(1, 100000)], R = gen_server:call(G, ping),
        {R, [get1() || _ <- lists:seq(1, 100000)] =:= lists:seq(1, 100000), absent()} end},
    {gs_calls_in_order, [43], "casts and a call of one caller are handled in order", fun() ->
        G = start([]), [gen_server:cast(G, fun(S) -> {noreply, [I | S]} end) || I <- [1, 2, 3]],
        gen_server:call(G, fun(_, S) -> {reply, lists:reverse(S), S} end) end},
    {gs_multi_call_local, [43], "multi_call of a name that is there, and of one that is not", fun() ->
        named(gmc, s), [gen_server:multi_call([node()], N, ping) || N <- [gmc, nobody]] end},
    {gs_multi_call_down, [43], "multi_call of a server that crashes", fun() ->
        named(gmd, s), gen_server:multi_call([node()], gmd, crash) end}].

%% --- what callbacks return

returns() -> [
    {gs_bad_return, [43, 51], "handle_call returns nonsense", fun() ->
        G = start(s), c(fun() -> gen_server:call(G, bad) end) end},
    {gs_bad_returns, [43], "handle_cast, handle_info, handle_continue return nonsense: the reasons", fun() ->
        Bad = fun(_) -> nonsense end, Cont = fun(S) -> {noreply, S, {continue, Bad}} end,
        [begin G = start(s), M = monitor(process, G), Send(G), reason(M) end
            || Send <- [fun(G) -> gen_server:cast(G, Bad) end, fun(G) -> G ! Bad end,
            fun(G) -> gen_server:cast(G, Cont) end]] end},
    {gs_throw_is_return, [43], "handle_call throws {reply, x, S}; throws nonsense", fun() ->
        G = start(s), [cr(fun() -> gen_server:call(G, fun(_, S) -> throw({reply, x, S}) end) end),
            cr(fun() -> gen_server:call(G, fun(_, _) -> throw(ball) end) end)] end},
    {gs_continue_before_next_msg, [43, 51], "a continue runs before a message that waits", fun() ->
        G = start(s), Me = self(), sys:suspend(G),
        gen_server:cast(G, fun(S) -> {noreply, S,
            {continue, fun(S1) -> Me ! continued, {noreply, S1} end}} end),
        G ! fun(S) -> Me ! info, {noreply, S} end, sys:resume(G), [get1(), get1()] end},
    {gs_reply_before_continue, [43], "{reply, R, S, {continue, _}}: the caller has the reply while the "
        "continue runs", fun() ->
        G = start(s), Me = self(), R = gen_server:call(G,
            fun(_, S) -> {reply, replied, S, {continue,
            fun(S1) -> receive go -> Me ! continued, {noreply, S1} end end}} end), G ! go, [R, get1()] end},
    {gs_continue_chain, [43], "continue of a continue, before a message that waits; then stop from a continue",
        fun() ->
        G = start(s), Me = self(), M = monitor(process, G), sys:suspend(G),
        Say = fun(X, R) -> fun(S) -> Me ! X, setelement(2, R, S) end end,
        gen_server:cast(G, Say(cast, {noreply, s,
            {continue, Say(one, {noreply, s, {continue, Say(two, {noreply, s})}})}})),
        gen_server:cast(G, fun(S) -> Me ! last,
            {noreply, S, {continue, fun(S1) -> {stop, done, S1} end}} end), sys:resume(G),
        [get1(), get1(), get1(), get1(), reason(M)] end},
    {gs_reply_later_by_other, [43], "{noreply, S}, and another process replies", fun() ->
        G = start(s), gen_server:call(G, fun(From, S) -> spawn(fun() -> gen_server:reply(From, later) end),
            {noreply, S} end) end},
    {gs_reply_twice, [43], "a second reply, after the caller has the first: the call's value, the mailbox",
        fun() ->
        G = start(s), A = gen_server:call(G,
            fun(From, S) -> gen_server:reply(From, one), receive go -> gen_server:reply(From, two) end,
            {noreply, S} end), G ! go, sys:get_state(G), {A, absent()} end},
    {gs_stop_with_reply, [43], "{stop, R, Reply, S}: the value and the exit reason", fun() ->
        G = start(s), M = monitor(process, G),
        {gen_server:call(G, fun(_, S) -> {stop, bye, reply, S} end), reason(M)} end},
    {gs_idle_timeout, [43], "{noreply, S, 10}: the next message", fun() ->
        G = start(#{info => self()}), gen_server:cast(G, fun(S) -> {noreply, S, 10} end), get1() end},
    {gs_idle_timeout_cancelled, [43], "{noreply, S, 50}, then another message: messages seen", fun() ->
        G = start(#{info => self()}), sys:suspend(G), gen_server:cast(G, fun(S) -> {noreply, S, 50} end),
        G ! hello, sys:resume(G), [get1(), absent(150)] end},
    {gs_idle_timeout_0, [43], "{noreply, S, 0} with a message that waits, then with none", fun() ->
        G = start(#{info => self()}), sys:suspend(G), Zero = fun(S) -> {noreply, S, 0} end,
        gen_server:cast(G, Zero), G ! hello, sys:resume(G), A = [get1(), absent()], gen_server:cast(G, Zero),
        A ++ [get1()] end},
    {gs_hibernate, [43], "{noreply, S, hibernate}: where the process is, and a call", fun() ->
        G = start(s), gen_server:cast(G, fun(S) -> {noreply, S, hibernate} end),
        until(fun() -> info(G, current_function) =:= {erlang, hibernate, 3} end),
        gen_server:call(G, ping) end},
    {gs_hibernate_after, [43], "hibernate_after 10: where the process is, and a call", fun() ->
        G = start(s, [{hibernate_after, 10}]),
        until(fun() -> info(G, current_function) =:= {erlang, hibernate, 3} end),
        gen_server:call(G, ping) end}].

%% --- stop

stops() -> [
    {gs_stop_no_reply, [43, 51], "{stop, R, S} out of a call", fun() ->
        G = start(s), c(fun() -> gen_server:call(G, {stop, byebye}) end) end},
    {gs_stop_normal_no_reply, [43], "{stop, normal, S} out of a call", fun() ->
        G = start(s), cr(fun() -> gen_server:call(G, {stop, normal}) end) end},
    {gs_stop_fn, [43, 51], "stop(G), and again", fun() ->
        G = start(s), {gen_server:stop(G), c(fun() -> gen_server:stop(G) end)} end},
    {gs_stop_reason, [43], "stop(G, Reason, infinity): value, exit reason, what terminate got", fun() ->
        [begin G = start(#{terminate => self()}), M = monitor(process, G),
            {gen_server:stop(G, R, infinity), reason(M), get1()} end
            || R <- [normal, shutdown, {shutdown, x}, oops, kill]] end},
    {gs_stop_unknown, [43], "stop of a name that nobody has, of {name, node()}, of a dead pid", fun() ->
        [c(fun() -> gen_server:stop(X) end) || X <- [nope, {nope, node()}, dead()]] end},
    {gs_stop_by_name, [43], "stop by name", fun() -> named(gst, s), {gen_server:stop(gst), whereis(gst)} end},
    {gs_stop_timeout, [43], "stop of a busy server with timeout 20; when it is free again it ends with",
        fun() ->
        G = start(s), M = monitor(process, G), G ! fun(S) -> receive go -> {noreply, S} end end,
        A = c(fun() -> gen_server:stop(G, normal, 20) end), B = is_process_alive(G), G ! go,
        {A, B, reason(M)} end},
    {gs_stop_terminate_crashes, [43], "terminate raises, exits, throws during stop(G)", fun() ->
        [begin G = start(#{terminate => F}), M = monitor(process, G),
            {c(fun() -> gen_server:stop(G) end), reason(M)} end
            || F <- [fun(_) -> error(in_terminate) end, fun(_) -> exit(out) end,
            fun(_) -> throw(ball) end]] end},
    {gs_stop_self, [43], "a server stops itself by gen_server:stop(self(), normal, 50)", fun() ->
        G = start(s), cr(fun() -> gen_server:call(G,
            fun(_, S) -> {reply, c(fun() -> gen_server:stop(self(), normal, 50) end), S} end) end) end},
    {gs_stop_killed_meanwhile, [43], "the server is killed while stop waits", fun() ->
        G = start(s), G ! fun(S) -> receive go -> {noreply, S} end end,
        spawn(fun() -> receive after 30 -> exit(G, kill) end end), c(fun() -> gen_server:stop(G) end) end},
    {gs_stop_linked_starter, [43], "start_link by a trapping process, stop(G, oops): the EXIT", fun() ->
        process_flag(trap_exit, true), {ok, G} = gen_server:start_link(?MODULE, s, []),
        {gen_server:stop(G, oops, infinity), mailbox()} end}].

%% --- terminate

terminates() -> [
    {gs_terminate_not_called_when_not_trapping, [43, 51], "exit(G, shutdown), not trapping", fun() ->
        G = start(#{terminate => self()}), exit(G, shutdown), absent(100) end},
    {gs_terminate_called_by_parent_EXIT_when_trapping, [43, 51], "the parent exits, the server traps",
        fun() ->
        orphan(parent_gone, true) end},
    {gs_parent_exit, [43], "the parent exits normal, shutdown, oops, killed: {what terminate got, the "
        "server's reason}; trapping, then not", fun() ->
        [{Trap, [orphan_end(R, Trap) || R <- [normal, shutdown, oops, kill]]} || Trap <- [true, false]] end},
    {gs_unrelated_EXIT_is_info_when_trapping, [43, 51], "exit(G, some_reason) by a stranger, the server traps",
        fun() ->
        G = start(trapping(#{info => self()})), exit(G, some_reason), get1() end},
    {gs_linked_EXIT_is_info_when_trapping, [43], "a linked process that is not the parent exits", fun() ->
        G = start(trapping(#{info => self()})),
        gen_server:call(G, fun(_, S) -> {reply, spawn_link(fun() -> exit(gone) end), S} end), get1() end},
    {gs_terminate_reasons, [43], "a callback stops, raises, exits, throws, returns nonsense: what terminate "
        "got, the exit reason", fun() ->
        [begin G = start(#{terminate => self()}), M = monitor(process, G), gen_server:cast(G, F),
            {get1(), reason(M)} end || F <- [fun(S) -> {stop, oops, S} end, fun(S) -> {stop, normal, S} end,
            fun(_) -> error(boom) end, fun(_) -> exit(out) end, fun(_) -> throw(ball) end,
            fun(_) -> nonsense end]] end},
    {gs_terminate_crash_replaces_reason, [43], "{stop, oops, S}, and terminate raises, exits; returns "
        "something", fun() ->
        [begin G = start(#{terminate => F}), M = monitor(process, G),
            gen_server:cast(G, fun(S) -> {stop, oops, S} end), reason(M) end
            || F <- [fun(_) -> error(in_terminate) end, fun(_) -> exit(out) end,
            fun(_) -> whatever end]] end},
    {gs_kill_runs_no_terminate, [43], "exit(G, kill), the server traps", fun() ->
        G = start(trapping(#{terminate => self()})), M = monitor(process, G), exit(G, kill),
        {reason(M), absent()} end},
    {gs_terminate_before_name_is_free, [43], "whereis(name) in terminate, and after DOWN", fun() ->
        Me = self(), G = named(gtn, #{terminate => fun(_) -> Me ! (whereis(gtn) =:= self()) end}),
        M = monitor(process, G), gen_server:stop(G), [get1(), reason(M), whereis(gtn)] end}].

trapping(S) -> fun() -> process_flag(trap_exit, true), {ok, S} end.
orphan(Reason, Trap) -> element(1, orphan_end(Reason, Trap)).
orphan_end(Reason, Trap) ->
    Me = self(),
    Parent = spawn(fun() -> {ok, G} = gen_server:start_link(?MODULE,
        fun() -> process_flag(trap_exit, Trap), {ok, #{terminate => Me}} end, []), Me ! G, probes:idle() end),
    M = monitor(process, receive G when is_pid(G) -> G end),
    case Reason of kill -> exit(Parent, kill); _ -> Parent ! {exit, Reason} end,
    Patience = if Reason =:= normal, not Trap -> 100; true -> 5000 end,
    End = receive {'DOWN', M, _, _, R} -> R after Patience -> alive end,
    {absent(), End}.

%% --- crash reports

logs() -> [
    {gs_log_crash, [43], "reports of a callback that raises, of a bad return, of a terminate that raises, of a "
        "kill, of a trapping server whose parent exits oops", fun() ->
        [logged(F) || F <- [
            fun() -> cast_down(fun(_) -> error(boom) end) end,
            fun() -> cast_down(fun(_) -> nonsense end) end,
            fun() -> G = start(#{terminate => fun(_) -> error(x) end}), c(fun() -> gen_server:stop(G) end) end,
            fun() -> G = start(s), exit(G, kill), down(G) end,
            fun() -> orphan(oops, true) end]] end}
    | [log_row(How, Name, R)
        || How <- [stop, exit, signal, init_stop, init_exit],
           {Name, R} <- [{"normal", normal}, {"shutdown", shutdown}, {"shutdown_x", {shutdown, x}},
               {"oops", oops}]]].

log_row(How, Name, R) ->
    {lists:join("/", ["gs_log", atom_to_list(How), Name]), [43], "the reports that a server's end logs",
     #{how => How, reason => R}, fun() -> logged(fun() -> ended(How, R) end) end}.

ended(stop, R) -> cast_down(fun(S) -> {stop, R, S} end);
ended(exit, R) -> cast_down(fun(_) -> exit(R) end);
ended(signal, R) -> G = start(s), M = monitor(process, G), exit(G, R),
    gen_server:cast(G, fun(S) -> {stop, normal, S} end), reason(M);
ended(init_stop, R) -> failed_start(fun() -> {stop, R} end);
ended(init_exit, R) -> failed_start(fun() -> exit(R) end).
failed_start(F) -> Me = self(), gen_server:start(?MODULE, fun() -> Me ! {starting, self()}, F() end, []),
    receive {starting, P} -> down(P) end.
cast_down(F) -> G = start(s), M = monitor(process, G), gen_server:cast(G, F), reason(M).

%% --- asynchronous calls

requests() -> [
    {gs_send_request, [43], "send_request: receive_response", fun() ->
        G = start(s), gen_server:receive_response(gen_server:send_request(G, ping), 5000) end},
    {gs_send_request_noproc, [43], "send_request to nobody, to a server that crashes", fun() ->
        [case gen_server:receive_response(gen_server:send_request(X, crash), 5000) of {error, {R, _}} ->
            {error, R} end || X <- [nope, start(s)]] end},
    {gs_receive_response_timeout_abandons, [43], "receive_response times out; the late reply", fun() ->
        G = start(s), R = gen_server:send_request(G, {sleep, 60}), A = gen_server:receive_response(R, 10),
        gen_server:call(G, ping), [A, absent()] end},
    {gs_wait_response_timeout_keeps, [43], "wait_response times out, then again with time", fun() ->
        G = start(s), R = gen_server:send_request(G, {sleep, 60}),
        [gen_server:wait_response(R, 10), gen_server:wait_response(R, 5000)] end},
    {gs_check_response, [43], "check_response of a message that is no reply, and of the reply", fun() ->
        G = start(s), R = gen_server:send_request(G, ping),
        [gen_server:check_response(x, R), gen_server:check_response(get1(), R)] end},
    {gs_request_collection, [43], "three requests in a collection: labels and replies, then no_request",
        fun() ->
        G = start(s), C = lists:foldl(fun(L, A) ->
            gen_server:send_request(G, fun(_, S) -> {reply, {r, L}, S} end, L, A) end,
            gen_server:reqids_new(), [a, b, c]), drain(C) end}].

drain(C) -> case gen_server:receive_response(C, 5000, true) of no_request -> [no_request];
    {Response, Label, C2} -> [{Label, Response} | drain(C2)] end.

%% sys: looking into and suspending a server that does not know about it.
-module(probes_sys).
-export([probes/0]).
-import(probes, [c/1, get1/0, absent/0, dead/0, reason/1]).
-import(probes_server, [start/1]).

probes() -> [
    {sys_get_state, [50, 51], "get_state", fun() -> sys:get_state(start(st)) end},
    {sys_replace_state, [50, 51], "replace_state", fun() ->
        sys:replace_state(start(st), fun(_) -> replaced end) end},
    {sys_replace_state_stays, [50], "replace_state, then get_state", fun() ->
        G = start(1), [sys:replace_state(G, fun(N) -> N + 1 end), sys:get_state(G)] end},
    {sys_replace_state_crashes, [50], "the fun of replace_state raises: the caller gets, the state, alive",
        fun() ->
        G = start(st), R = c(fun() -> sys:replace_state(G, fun(_) -> error(boom) end) end),
        {R, sys:get_state(G), is_process_alive(G)} end},
    {sys_suspend_queues, [50, 51], "suspend, a call that times out, resume, a call", fun() ->
        {ok, G} = gen_server:start({local, gs5}, probes_server, st, []), sys:suspend(gs5),
        R = c(fun() -> gen_server:call(gs5, ping, 50) end), sys:resume(gs5),
        {R, gen_server:call(G, ping)} end},
    {sys_suspend_keeps_order, [50], "casts, infos and a cast sent to a suspended server: nothing, then after "
        "resume", fun() ->
        G = start(st), Me = self(), Say = fun(X) -> fun(S) -> Me ! X, {noreply, S} end end, sys:suspend(G),
        gen_server:cast(G, Say(1)), G ! Say(2), gen_server:cast(G, Say(3)), G ! Say(4), A = absent(),
        sys:resume(G), [A, get1(), get1(), get1(), get1()] end},
    {sys_suspend_twice, [50], "suspend twice, resume twice: what they return, a call works", fun() ->
        G = start(st), [sys:suspend(G), sys:suspend(G), sys:resume(G), gen_server:call(G, ping),
            sys:resume(G)] end},
    {sys_suspended_answers_system, [50], "get_state, replace_state and get_status' tag of a suspended server",
        fun() ->
        G = start(1), sys:suspend(G), [sys:get_state(G), sys:replace_state(G, fun(N) -> N + 1 end),
            element(1, sys:get_status(G)), running(G)] end},
    {sys_suspended_late_call_handled, [50], "a call that timed out while suspended is handled after resume; "
        "its reply does not come", fun() ->
        G = start(st), Me = self(), sys:suspend(G),
        c(fun() -> gen_server:call(G, fun(_, S) -> Me ! handled, {reply, late, S} end, 20) end),
        sys:resume(G), [get1(), absent()] end},
    {sys_status_running, [50], "sys:get_status' state, running and suspended", fun() ->
        G = start(st), A = running(G), sys:suspend(G), [A, running(G)] end},
    {sys_dead, [50], "get_state and suspend of a dead process and of a free name", fun() ->
        [case c(fun() -> F(X) end) of {exit, {R, {sys, What, _}}} -> {exit, R, What} end
            || F <- [fun sys:get_state/1, fun sys:suspend/1], X <- [dead(), nobody]] end},
    {sys_timeout, [50], "get_state with timeout 20 of a busy server", fun() ->
        G = start(st), G ! fun(S) -> receive go -> {noreply, S} end end,
        case c(fun() -> sys:get_state(G, 20) end) of {exit, {R, {sys, What, _}}} -> {exit, R, What} end end},
    {sys_get_state_behind_messages, [50], "a cast, then get_state: the state is that after the cast", fun() ->
        G = start(1), gen_server:cast(G, fun(N) -> {noreply, N + 1} end), sys:get_state(G) end},
    {sys_terminate, [50], "sys:terminate(G, oops): value, exit reason, what terminate got", fun() ->
        G = start(#{terminate => self()}), M = monitor(process, G),
        {sys:terminate(G, oops), reason(M), get1()} end},
    {sys_terminate_suspended, [50], "gen_server:stop of a suspended server", fun() ->
        G = start(#{terminate => self()}), M = monitor(process, G), sys:suspend(G),
        {gen_server:stop(G), reason(M), get1()} end},
    {sys_suspended_parent_exit, [50], "the parent of a suspended server exits oops: what terminate got, the "
        "exit reason", fun() ->
        Me = self(), Parent = spawn(fun() ->
            {ok, G} = gen_server:start_link(probes_server,
            fun() -> process_flag(trap_exit, true), {ok, #{terminate => Me}} end, []), Me ! G,
            probes:idle() end), G = get1(), M = monitor(process, G), sys:suspend(G), Parent ! {exit, oops},
        {reason(M), get1()} end},
    {sys_suspended_EXIT_signal, [50], "exit(G, oops) to a suspended server that does not trap", fun() ->
        G = start(st), M = monitor(process, G), sys:suspend(G), exit(G, oops), reason(M) end},
    {sys_statistics, [50], "statistics after two calls and a cast: messages in and out", fun() ->
        G = start(st), sys:statistics(G, true), gen_server:call(G, ping), gen_server:call(G, ping),
        gen_server:cast(G, fun(S) -> {noreply, S} end), {ok, L} = sys:statistics(G, get),
        [lists:keyfind(K, 1, L) || K <- [messages_in, messages_out]] end},
    {sys_log, [50], "sys:log of a call: the kinds of events", fun() ->
        G = start(st), sys:log(G, true), gen_server:call(G, ping), {ok, L} = sys:log(G, get),
        [element(1, E) || E <- L] end},
    {sys_get_state_statem, [50], "get_state and replace_state of a gen_statem", fun() ->
        M = probes_statem:start(fun(_, _, _) -> keep_state_and_data end),
        [sys:get_state(M), sys:replace_state(M, fun({S, _}) -> {S, new} end)] end}].

running(G) -> {status, _, _, [_, State | _]} = sys:get_status(G), State.

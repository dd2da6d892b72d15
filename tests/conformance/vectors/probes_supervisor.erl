%% supervisor: starting, stopping, and what its functions return.
-module(probes_supervisor).
-export([probes/0]).
-import(probes, [c/1, reason/1, mailbox/0, until/1, logged/1]).
-import(probes_kid, [sup/3, kid/2, kid/3, child/2, ids/1, order/1, gone/2, finish/2, events/0, close/1]).

probes() -> starts() ++ stops() ++ children() ++ dynamic() ++ specs() ++ ends().

start(Flags, Specs) -> process_flag(trap_exit, true), supervisor:start_link(probes_kid, {Flags, Specs}).
one() -> one([]).
one(Specs) -> sup(one_for_one, #{}, Specs).
fails(R) -> #{result => fun() -> R end}.

%% --- start

starts() -> [
    {sup_default_flags, [44, 51], "strategy, intensity, period, auto_shutdown of empty flags", fun() ->
        {ok, S} = start(#{}, []), [state, _, Strategy, _, _, Intensity, Period, _, _,
            Auto | _] = tuple_to_list(sys:get_state(S)), close(S), {Strategy, Intensity, Period, Auto} end},
    {sup_start_order, [44], "starts of a b c", fun() ->
        S = one([kid(X, #{}) || X <- [a, b, c]]), E = events(), close(S), E end},
    {sup_init_child_fails, [44, 51], "a child's start returns {error, nope}", fun() ->
        start(#{}, [kid(bad, #{}, fails({error, nope}))]) end},
    {sup_failed_start_stops_started, [44], "the third of four children fails: starts and stops; the result; "
        "the starter's mailbox", fun() ->
        R = start(#{}, [kid(a, #{}), kid(b, #{}), kid(c, #{}, fails({error, nope})), kid(d, #{})]),
        E = events(), {E, R, mailbox()} end},
    {sup_start_child_crashes, [44], "a child's start raises, exits, returns nonsense", fun() ->
        [start(#{}, [kid(bad, #{}, #{result => F})])
            || F <- [fun() -> error(boom) end, fun() -> exit(out) end, fun() -> nonsense end]] end},
    {sup_init_results, [44], "init of the supervisor ignores, returns nonsense", fun() ->
        process_flag(trap_exit, true), [supervisor:start_link(probes_kid, {ok, R})
            || R <- [ignore, nonsense]] end},
    {sup_name_taken, [44], "start_link with a name that a supervisor has", fun() ->
        process_flag(trap_exit, true), {ok, S} = supervisor:start_link({local, taken}, probes_kid, {#{}, []}),
        {error, {already_started, P}} = supervisor:start_link({local, taken}, probes_kid, {#{}, []}),
        {error, {already_started, P =:= S}} end},
    {sup_start_ignore, [44], "a child's start returns ignore, as permanent, transient and temporary: what is "
        "listed, counts", fun() ->
        [begin {ok, S} = start(#{}, [kid(a, #{restart => R}, fails(ignore)), kid(b, #{})]),
            V = {R, order(S), child(S, a), supervisor:count_children(S)}, close(S), V end
            || R <- [permanent, transient, temporary]] end},
    {sup_start_ignore_start_child, [44], "start_child, whose start returns ignore: value, listed; as "
        "temporary too", fun() ->
        [begin S = one(), V = {R, supervisor:start_child(S, kid(a, #{restart => R}, fails(ignore))), ids(S)},
            close(S), V end || R <- [permanent, temporary]] end},
    {sup_start_ignore_restart_child, [44], "restart_child of a child that was ignored and now starts",
        fun() ->
        C = counters:new(1, []), F = fun() -> counters:add(C, 1, 1),
            case counters:get(C, 1) of 1 -> ignore; _ -> {ok, spawn_link(fun probes:idle/0)} end end,
        S = one([kid(a, #{}, #{result => F})]), {ok, P} = supervisor:restart_child(S, a),
        V = child(S, a) =:= P, exit(P, kill), close(S), V end},
    {sup_start_ignore_simple_one_for_one, [44], "start_child of simple_one_for_one, whose start returns "
        "ignore: value, counts", fun() ->
        S = simple(fails(ignore)), V = {supervisor:start_child(S, [a]), supervisor:count_children(S)},
        close(S), V end},
    {sup_child_info, [44], "a child's start returns {ok, Pid, Info}: start_child's value", fun() ->
        S = one(), {ok, P, Info} = supervisor:start_child(S,
            kid(a, #{}, #{result => fun() -> {ok, spawn_link(fun probes:idle/0), info} end})),
        V = {Info, child(S, a) =:= P}, exit(P, kill), close(S), V end},
    {sup_child_ancestors, [44], "whether a child's $ancestors are its supervisor and its supervisor's parent",
        fun() ->
        S = one(), Me = self(), supervisor:start_child(S, kid(a, #{})),
        child(S, a) ! {run, fun() -> Me ! {ancestors, get('$ancestors')} end},
        V = receive {ancestors, A} -> A =:= [S, Me] end, close(S), V end}].

%% --- stop

stops() -> [
    {sup_shutdown_order_reverse, [44, 51], "the supervisor is shut down: its children's stops", fun() ->
        S = one([kid(X, #{}) || X <- [a, b, c]]), events(), close(S),
        [{Id, R} || {stop, Id, R} <- events()] end},
    {sup_brutal_kill_reason, [44, 51], "terminate_child with brutal_kill", fun() ->
        {_, R, _} = stop(brutal_kill, #{}), {child_reason, R} end},
    {sup_stop_timeout, [44], "terminate_child of a child that ignores shutdown, with shutdown 50: value, "
        "exit reason", fun() ->
        stop(50, #{stubborn => true}) end},
    {sup_stop_brutal_kill, [44], "terminate_child with brutal_kill: value, exit reason, what the child saw",
        fun() -> stop(brutal_kill, #{}) end},
    {sup_stop_infinity, [44], "terminate_child with shutdown infinity: value, exit reason, what the child saw",
        fun() -> stop(infinity, #{}) end},
    {sup_stop_not_trapping, [44], "terminate_child of a child that does not trap: value, exit reason, what it saw",
        fun() -> stop(5000, #{trap => false}) end},
    {sup_stop_other_reason, [44], "a child that answers shutdown by exiting with another reason", fun() ->
        [stop(5000, #{reason => R}) || R <- [normal, {shutdown, x}, oops, killed]] end},
    {sup_stop_logs, [44], "reports of terminate_child when the child exits shutdown, normal, {shutdown, x}, "
        "oops, must be killed, is killed brutally", fun() ->
        [[L || {_, _} = L <- logged(fun() -> stop(T, O) end), L =/= {proc_lib, crash}]
            || {T, O} <- [{5000, #{}}, {5000, #{reason => normal}}, {5000, #{reason => {shutdown, x}}},
            {5000, #{reason => oops}}, {50, #{stubborn => true}}, {brutal_kill, #{}}]] end},
    {sup_stop_stubborn_on_shutdown, [44], "the supervisor is shut down with a child that must be killed "
        "between two others: stops, exit reason", fun() ->
        S = one([kid(a, #{}), kid(b, #{shutdown => 50}, #{stubborn => true}), kid(c, #{})]),
        M = monitor(process, child(S, b)), events(), R = close(S), {events(), reason(M), R} end},
    {child_unlink, [44], "a child unlinked itself and dies: listed as alive, terminate_child; a supervisor "
        "with such a child that lives shuts down", fun() ->
        S = one([kid(a, #{}), kid(b, #{})]), [unlinked(S, X) || X <- [a, b]], A = child(S, a),
        M = monitor(process, A), A ! {exit, oops}, reason(M), V = child(S, a) =:= A,
        T = supervisor:terminate_child(S, a), [V, T, child(S, a), close(S)] end},
    {child_unlink_stop, [44], "terminate_child of a child that unlinked itself: value, exit reason", fun() ->
        S = one([kid(a, #{})]), unlinked(S, a), M = monitor(process, child(S, a)),
        V = supervisor:terminate_child(S, a), R = {V, reason(M)}, close(S), R end},
    {scale_many_children, [44], "1000 children one_for_one: counts; all dead after the shutdown", fun() ->
        S = one([kid(I, #{}, #{trap => false}) || I <- lists:seq(1, 1000)]), events(),
        Ps = [P || {_, P, _, _} <- supervisor:which_children(S)], N = supervisor:count_children(S), close(S),
        {N, lists:any(fun is_process_alive/1, Ps)} end},
    {scale_many_temporary, [44], "10000 temporary children of simple_one_for_one end: counts before and after",
        fun() ->
        S = simple(#{trap => false}, #{restart => temporary}),
        Ps = [element(2, supervisor:start_child(S, [I])) || I <- lists:seq(1, 10000)],
        A = supervisor:count_children(S), [P ! {exit, normal} || P <- Ps],
        [gone(S, P) || P <- [lists:last(Ps)]], until(fun() -> supervisor:which_children(S) =:= [] end),
        B = supervisor:count_children(S), close(S), {A, B} end}].

%% terminate_child of a child with a shutdown and options: {value, exit reason, what the child saw}
stop(Shutdown, Options) ->
    S = one([kid(a, #{shutdown => Shutdown}, Options)]), M = monitor(process, child(S, a)), events(),
    V = supervisor:terminate_child(S, a), R = {V, reason(M), events()}, close(S), R.

unlinked(S, Id) -> Me = self(), child(S, Id) ! {run, fun() -> unlink(S), Me ! unlinked end},
    receive unlinked -> ok end.

%% --- its functions

children() -> [
    {sup_start_child_dup_id, [44, 51], "start_child with an id that runs", fun() ->
        S = one([kid(a, #{})]), {error, {R, P}} = supervisor:start_child(S, kid(a, #{})),
        true = child(S, a) =:= P, close(S), R end},
    {sup_start_child, [44], "start_child: order listed with the children of init, shutdown order", fun() ->
        S = one([kid(a, #{})]), [{ok, _} = supervisor:start_child(S, kid(X, #{})) || X <- [b, c]], I = ids(S),
        events(), close(S), {I, [Id || {stop, Id, _} <- events()]} end},
    {sup_start_child_errors, [44], "start_child: its start returns an error, raises; of an id that was "
        "terminated; after an error listed", fun() ->
        S = one([kid(a, #{})]), supervisor:terminate_child(S, a),
        V = [no_child(supervisor:start_child(S, kid(b, #{}, fails({error, nope})))),
            no_child(supervisor:start_child(S, kid(b, #{}, #{result => fun() -> error(boom) end}))),
            supervisor:start_child(S, kid(a, #{})), ids(S)], close(S), V end},
    {sup_terminate_child, [44], "terminate_child: of a running child, again, of an unknown id, of a pid; "
        "listed as", fun() ->
        S = one([kid(a, #{}), kid(b, #{})]),
        V = [supervisor:terminate_child(S, a), supervisor:terminate_child(S, a),
            supervisor:terminate_child(S, nobody), supervisor:terminate_child(S, child(S, b)),
            [{I, P} || {I, P, _, _} <- supervisor:which_children(S), P =:= undefined]], close(S), V end},
    {sup_terminate_temporary, [44], "terminate_child of a temporary child: value, listed", fun() ->
        S = one([kid(a, #{restart => temporary})]), V = {supervisor:terminate_child(S, a), ids(S)}, close(S),
        V end},
    {sup_terminate_child_restarts_nothing, [44], "terminate_child under one_for_all: what becomes of the "
        "sibling", fun() ->
        S = sup(one_for_all, #{}, [kid(a, #{}), kid(b, #{})]), B = child(S, b),
        supervisor:terminate_child(S, a), V = child(S, b) =:= B, close(S), V end},
    {sup_restart_child, [44], "restart_child: of one that runs, of an unknown id, of one terminated, of one "
        "whose start then fails; then listed as", fun() ->
        C = counters:new(1, []), F = fun() -> counters:add(C, 1, 1),
            case counters:get(C, 1) of 1 -> {ok, spawn_link(fun probes:idle/0)}; _ -> {error, no} end end,
        S = one([kid(a, #{}), kid(b, #{}, #{result => F})]),
        A = [supervisor:restart_child(S, a), supervisor:restart_child(S, nobody)],
        [supervisor:terminate_child(S, X) || X <- [a, b]],
        V = A ++ [supervisor:restart_child(S, a), supervisor:restart_child(S, b), child(S, b)], close(S),
        V end},
    {sup_restart_child_of_ended_transient, [44], "restart_child of a transient child that ended normal",
        fun() ->
        S = one([kid(a, #{restart => transient})]), finish(S, {child(S, a), normal}),
        V = supervisor:restart_child(S, a), close(S), V end},
    {sup_delete_child, [44], "delete_child: of one that runs, of an unknown id, of one terminated, again; "
        "listed", fun() ->
        S = one([kid(a, #{})]), A = supervisor:delete_child(S, a), B = supervisor:delete_child(S, nobody),
        supervisor:terminate_child(S, a), V = [A, B, supervisor:delete_child(S, a),
            supervisor:delete_child(S, a), ids(S)], close(S), V end},
    {sup_order_after_restart_child, [44], "a of a b c is terminated and restarted by restart_child: order "
        "listed, shutdown order", fun() ->
        S = one([kid(X, #{}) || X <- [a, b, c]]), supervisor:terminate_child(S, a),
        supervisor:restart_child(S, a), O = order(S), events(), close(S),
        {O, [Id || {stop, Id, _} <- events()]} end},
    {sup_which_children, [44], "which_children of a worker, a supervisor and one that was terminated",
        fun() ->
        S = one([kid(a, #{}), kid(b, #{type => supervisor, modules => dynamic}), kid(c, #{modules => [m]})]),
        supervisor:terminate_child(S, c), V = supervisor:which_children(S), close(S), V end},
    {sup_count_children, [44], "count_children: a worker, a supervisor, a worker terminated; "
        "simple_one_for_one with two", fun() ->
        S = one([kid(a, #{}), kid(b, #{type => supervisor}), kid(c, #{})]), supervisor:terminate_child(S, c),
        D = simple(#{}), [supervisor:start_child(D, [X]) || X <- [x, y]],
        V = [supervisor:count_children(X) || X <- [S, D]], [close(X) || X <- [S, D]], V end},
    {sup_get_childspec, [44], "get_childspec without its start: defaults of a worker, of a supervisor; of an "
        "unknown id", fun() ->
        S = one([kid(a, #{}), kid(b, #{type => supervisor})]),
        V = [begin {ok, M} = supervisor:get_childspec(S, X), maps:remove(start, M) end
            || X <- [a, b]] ++ [supervisor:get_childspec(S, nobody)], close(S), V end},
    {sup_call_noproc, [44], "which_children of a name that nobody has", fun() ->
        case c(fun() -> supervisor:which_children(nobody) end) of {exit, {R, {gen_server, call, _}}} ->
            {exit, R} end end}].

%% start_child's error without the record of the child, which is no part of its interface.
no_child({error, {Reason, Child}}) when element(1, Child) =:= child -> {error, Reason}.

%% --- simple_one_for_one

simple(Options) -> simple(Options, #{}).
simple(Options, Spec) -> sup(simple_one_for_one, #{},
    [kid(x, Spec#{start => {probes_kid, start, [{self(), Options}]}})]).

dynamic() -> [
    {simple_start_child, [44], "start_child appends arguments; which_children", fun() ->
        S = simple(#{}), {ok, P} = supervisor:start_child(S, [a]),
        V = {events(), supervisor:which_children(S) =:= [{undefined, P, worker, [probes_kid]}]}, close(S),
        V end},
    {simple_start_child_error, [44], "start_child whose start returns an error, raises; counts", fun() ->
        [begin S = simple(O), V = {supervisor:start_child(S, [a]), supervisor:count_children(S)}, close(S),
            V end || O <- [fails({error, nope}), #{result => fun() -> error(boom) end}]] end},
    {simple_terminate_child, [44], "terminate_child: by pid, again, by id, of a stranger's pid", fun() ->
        S = simple(#{}), {ok, P} = supervisor:start_child(S, [a]),
        V = [supervisor:terminate_child(S, X) || X <- [P, P, x, self()]], close(S), V end},
    {simple_restart_delete_child, [44], "restart_child and delete_child", fun() ->
        S = simple(#{}), {ok, P} = supervisor:start_child(S, [a]),
        V = [F(S, X) || F <- [fun supervisor:restart_child/2, fun supervisor:delete_child/2], X <- [P, x]],
        close(S), V end},
    {simple_restart_gets_same_arguments, [44], "a dynamic child crashes: starts", fun() ->
        S = simple(#{}), [supervisor:start_child(S, [X]) || X <- [a, b]],
        {ok, P} = supervisor:start_child(S, [c]), events(), finish(S, P), V = events(), close(S), V end},
    {simple_get_childspec, [44], "get_childspec by id and by pid gives the same", fun() ->
        S = simple(#{}), {ok, P} = supervisor:start_child(S, [a]),
        V = supervisor:get_childspec(S, x) =:= supervisor:get_childspec(S, P), close(S), V end},
    {simple_two_specs, [44], "two specs for simple_one_for_one; none", fun() ->
        [case start(#{strategy => simple_one_for_one}, L) of {error, {What, L}} -> {error, What} end
            || L <- [[kid(a, #{}), kid(b, #{})], []]] end},
    {simple_shutdown, [44], "the supervisor of three is shut down: stops, in any order", fun() ->
        S = simple(#{}), [supervisor:start_child(S, [X]) || X <- [a, b, c]], events(), close(S),
        lists:sort(events()) end}].

%% --- specs

specs() -> [
    {sup_bad_specs, [44], "start_link with a spec without id, without start, with a bad restart, shutdown, "
        "type, modules, start; with two of one id", fun() ->
        Good = kid(a, #{}), [start(#{}, L) || L <- [[maps:remove(id, Good)], [maps:remove(start, Good)],
            [Good#{restart => x}], [Good#{shutdown => x}], [Good#{shutdown => -1}], [Good#{type => x}],
            [Good#{modules => x}], [Good#{start => x}], [Good, Good]]] end},
    {sup_bad_specs_start_child, [44], "start_child with a spec without start, with a bad restart, with "
        "nonsense", fun() ->
        S = one(), V = [supervisor:start_child(S, X) || X <- [#{id => a}, kid(a, #{restart => x}), nonsense]],
        close(S), V end},
    {sup_bad_flags, [44], "start_link with a bad strategy, intensity, period", fun() ->
        [start(F, []) || F <- [#{strategy => x}, #{intensity => -1}, #{intensity => x}, #{period => 0},
            #{period => -1}]] end},
    {sup_check_childspecs, [44], "check_childspecs of a good list, of a bad one, of a double id", fun() ->
        [supervisor:check_childspecs(L) || L <- [[kid(a, #{})], [#{id => a}],
            [kid(a, #{}), kid(a, #{})]]] end}].

%% --- how a supervisor ends

ends() -> [
    {sup_parent_exit, [44], "the parent exits normal, shutdown, oops, is killed: the supervisor's reason, "
        "what its children see", fun() ->
        Me = self(), process_flag(trap_exit, true),
        [begin K = kid(a, #{}), Parent = spawn(fun() ->
            {ok, S} = supervisor:start_link(probes_kid, {#{}, [K]}), Me ! {sup, S}, probes:idle() end),
            M = receive {sup, S} -> monitor(process, S) end, events(),
            case R of killed -> exit(Parent, kill); _ -> Parent ! {exit, R} end, End = reason(M),
            {R, End, events()} end || R <- [normal, shutdown, oops, killed]] end},
    {sup_stranger_exit, [44], "exit(Sup, shutdown) and exit(Sup, oops) by a stranger, a linked process that "
        "is no child exits: alive", fun() ->
        S = one([kid(a, #{})]), A = child(S, a), Me = self(),
        [spawn(fun() -> exit(S, R), Me ! sent end) || R <- [shutdown, oops]],
        [receive sent -> ok end || _ <- [1, 2]], {_, M} = spawn_monitor(fun() -> link(S), exit(oops) end),
        reason(M), V = {is_process_alive(S), child(S, a) =:= A}, close(S), V end},
    {sup_killed, [44], "the supervisor is killed: what its trapping child sees, what a child that does not "
        "trap dies of", fun() ->
        S = one([kid(a, #{}), kid(b, #{}, #{trap => false})]), M = monitor(process, child(S, b)), events(),
        exit(S, kill), {reason(M), events()} end},
    {sup_stopped, [44], "gen_server:stop of a supervisor: value, reason, what its child sees", fun() ->
        S = one([kid(a, #{})]), M = monitor(process, S), events(),
        {gen_server:stop(S), reason(M), events()} end},
    {sup_unknown_messages, [44], "an unknown message, cast and call to a supervisor", fun() ->
        S = one(), S ! hello, V = [logged(fun() -> S ! hello, sys:get_state(S) end), is_process_alive(S)],
        close(S), V end},
    {sup_shutdown_is_not_a_crash, [44], "reports of a supervisor that is shut down by its parent", fun() ->
        logged(fun() -> close(one([kid(a, #{})])) end) end}].

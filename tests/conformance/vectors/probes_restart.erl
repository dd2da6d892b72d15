%% supervisor: who is restarted after whose end, in what order, how often, and when the supervisor gives up.
-module(probes_restart).
-export([probes/0]).
-import(probes, [until/1, logged/1]).
-import(probes_kid, [sup/3, kid/2, kid/3, child/2, order/1, gone/2, finish/2, events/0, close/1]).

probes() ->
    golden() ++ table() ++ orders() ++ bystanders() ++ escalations() ++ failing() ++ significant()
        ++ auto_shutdown().

reasons() -> [{"normal", normal}, {"shutdown", shutdown}, {"shutdown_x", {shutdown, x}}, {"oops", oops},
    {"killed", killed}].

%% --- the golden probes

golden() -> [
    {sup_max_intensity, [44, 51], "intensity 1, two kills: the supervisor's EXIT", fun() ->
        S = sup(one_for_one, #{intensity => 1, period => 5}, [kid(a, #{})]),
        [finish(S, {child(S, a), killed}) || _ <- [1, 2]], exit_of(S) end},
    {sup_rest_for_one_restarted, [44, 51], "b of a b c is killed: those restarted", fun() ->
        restarted(rest_for_one) end},
    {sup_one_for_all_restarted, [44, 51], "b of a b c is killed: those restarted", fun() ->
        restarted(one_for_all) end},
    {sup_one_for_one_restarted, [44, 51], "b of a b c is killed: those restarted", fun() ->
        restarted(one_for_one) end},
    {sup_transient_normal, [44, 51], "a transient child ends normal", fun() -> golden(transient, normal) end},
    {sup_transient_shutdown_tuple, [44, 51], "a transient child ends {shutdown, x}", fun() ->
        golden(transient, {shutdown, x}) end},
    {sup_transient_abnormal, [44, 51], "a transient child ends oops", fun() -> golden(transient, oops) end},
    {sup_temporary_abnormal, [44, 51], "a temporary child ends oops", fun() -> golden(temporary, oops) end},
    {sup_permanent_normal, [44, 51], "a permanent child ends normal", fun() -> golden(permanent, normal) end},
    {sup_auto_shutdown_any_significant, [44, 51], "any_significant, a significant child ends normal: the "
        "supervisor's EXIT", fun() ->
        S = sup(one_for_one, #{auto_shutdown => any_significant},
            [kid(a, #{restart => transient, significant => true}), kid(b, #{})]),
        finish(S, {child(S, a), normal}), exit_of(S) end}].

exit_of(S) -> receive {'EXIT', S, _} = E -> E end.
restarted(Strategy) -> [Id || {Id, restarted} <- outcome(Strategy, permanent, killed)].
golden(Restart, Reason) -> case proplists:get_value(b, outcome(one_for_one, Restart, Reason)) of deleted ->
    spec_deleted; stopped -> not_restarted_spec_kept; restarted -> restarted end.

%% --- strategy x restart x reason

table() ->
    [{lists:join("/", ["restart", atom_to_list(Strategy), atom_to_list(Restart), Name]), [44],
        "what becomes of a, b, c after b's end: same, restarted, stopped (spec kept), deleted",
      #{strategy => Strategy, restart => Restart, reason => Reason},
      fun() -> outcome(Strategy, Restart, Reason) end}
     || Strategy <- [one_for_one, one_for_all, rest_for_one, simple_one_for_one],
     Restart <- [permanent, transient, temporary], {Name, Reason} <- reasons()].

%% a and c are permanent; children of simple_one_for_one have one spec, and so one restart type.
outcome(simple_one_for_one, Restart, Reason) ->
    S = dynamic(#{restart => Restart}), [{_, _}, {_, B},
        {_, _}] = Before = [begin {ok, P} = supervisor:start_child(S, [Id]), {Id, P} end || Id <- [a, b, c]],
    finish(S, {B, Reason}), Now = [P || {_, P, _, _} <- supervisor:which_children(S)], close(S),
    [{Id, case lists:member(P, Now) of true -> same; false when length(Now) =:= 3 -> restarted;
        false -> deleted end} || {Id, P} <- Before];
outcome(Strategy, Restart, Reason) ->
    S = sup(Strategy, #{}, [kid(a, #{}), kid(b, #{restart => Restart}), kid(c, #{})]),
    Before = [{Id, child(S, Id)} || Id <- [a, b, c]],
    finish(S, {proplists:get_value(b, Before), Reason}),
    Now = [{Id, fate(P, child(S, Id))} || {Id, P} <- Before], close(S), Now.

fate(P, P) -> same;
fate(_, undefined) -> stopped;
fate(_, deleted) -> deleted;
fate(_, P) when is_pid(P) -> restarted.

dynamic(Spec) -> sup(simple_one_for_one, #{}, [kid(x, Spec#{start => {probes_kid, start, [{self(), #{}}]}})]).

%% --- order of stops and starts

orders() -> [
    {sup_restart_order, [44], "b of a b c d crashes: stops and starts, with the reasons that the stopped saw",
        fun() ->
        [begin S = sup(Strategy, #{}, [kid(X, #{}) || X <- [a, b, c, d]]), events(), finish(S, child(S, b)),
            E = events(), close(S), {Strategy, E} end
            || Strategy <- [one_for_one, one_for_all, rest_for_one]] end},
    {sup_restart_keeps_order, [44], "which_children, oldest first, before and after b's restart", fun() ->
        [begin S = sup(Strategy, #{}, [kid(X, #{}) || X <- [a, b, c]]), A = order(S), finish(S, child(S, b)),
            B = order(S), close(S), {Strategy, A, B} end
            || Strategy <- [one_for_one, one_for_all, rest_for_one]] end},
    {sup_last_and_first_crash, [44], "under rest_for_one the first, then the last crashes: starts and stops",
        fun() ->
        S = sup(rest_for_one, #{}, [kid(X, #{}) || X <- [a, b, c]]), events(), finish(S, child(S, a)),
        A = events(), finish(S, child(S, c)), B = events(), close(S), {A, B} end},
    {sup_two_crash_at_once, [44], "under one_for_all two children die at once: starts of each in all, those "
        "running", fun() ->
        S = sup(one_for_all, #{}, [kid(X, #{}, #{trap => false}) || X <- [a, b]]), events(),
        [A, B] = [child(S, X) || X <- [a, b]], sys:suspend(S), exit(A, kill), exit(B, kill),
        [probes:down(P) || P <- [A, B]], sys:resume(S), gone(S, A), gone(S, B),
        N = length([1 || {start, a} <- events()]),
        R = proplists:get_value(active, supervisor:count_children(S)), close(S), {N, R} end}].

%% --- siblings that do not run

bystanders() -> [
    {temporary_bystander, [44], "a permanent child crashes beside a temporary one, before and after it: "
        "{those listed, those restarted}", fun() ->
        [begin S = sup(Strategy, #{}, Specs), {P, T} = {child(S, p), child(S, t)}, finish(S, P),
            R = {Strategy, order(S), fate(P, child(S, p)), fate(T, child(S, t))}, close(S), R end
            || Strategy <- [one_for_all, rest_for_one],
            Specs <- [[kid(p, #{}), kid(t, #{restart => temporary})],
            [kid(t, #{restart => temporary}), kid(p, #{})]]] end},
    {temporary_crash_restarts_no_sibling, [44], "a temporary child crashes: what becomes of its permanent "
        "siblings", fun() ->
        [{Strategy, outcome(Strategy, temporary, oops)} || Strategy <- [one_for_all, rest_for_one]] end},
    {transient_that_ended_is_started_again, [44], "a transient child had ended normal, its sibling before it "
        "crashes: the transient one", fun() ->
        [idle_sibling(Strategy, transient, fun(S) -> finish(S, {child(S, b), normal}) end)
            || Strategy <- [one_for_one, one_for_all, rest_for_one]] end},
    {terminated_child_is_started_again, [44], "a child was terminated by terminate_child, its sibling before "
        "it crashes: the terminated one", fun() ->
        [idle_sibling(Strategy, permanent, fun(S) -> supervisor:terminate_child(S, b) end)
            || Strategy <- [one_for_one, one_for_all, rest_for_one]] end},
    {ignored_child_is_started_again, [44], "a child's start returned ignore, its sibling before it crashes: "
        "starts of the child", fun() ->
        [begin S = sup(Strategy, #{}, [kid(a, #{}), kid(b, #{}, #{result => fun() -> ignore end})]), events(),
            finish(S, child(S, a)), E = events(), close(S), {Strategy, E} end
            || Strategy <- [one_for_one, one_for_all, rest_for_one]] end}].

idle_sibling(Strategy, Restart, Stop) ->
    S = sup(Strategy, #{}, [kid(a, #{}), kid(b, #{restart => Restart})]), Stop(S), undefined = child(S, b),
    finish(S, child(S, a)),
    Now = child(S, b), close(S), {Strategy, fate(none, Now)}.

%% --- giving up

escalations() -> [
    {sup_intensity_counts, [44], "restarts that intensity 0, 1, 3 permit before the supervisor exits; its "
        "reason", fun() ->
        [begin S = sup(one_for_one, #{intensity => N}, [kid(a, #{})]),
            {N, crash_until_end(S, 0), exit_reason(S)} end || N <- [0, 1, 3]] end},
    {sup_intensity_counts_children_together, [44], "intensity 2: a, b and c crash once each", fun() ->
        S = sup(one_for_one, #{intensity => 2}, [kid(X, #{}) || X <- [a, b, c]]),
        [finish(S, child(S, X)) || X <- [a, b, c]], exit_reason(S) end},
    {sup_intensity_not_counted, [44], "intensity 0: ends that restart nothing (transient normal, temporary "
        "crash): alive", fun() ->
        S = sup(one_for_one, #{intensity => 0},
            [kid(a, #{restart => transient}), kid(b, #{restart => temporary})]),
        finish(S, {child(S, a), normal}), finish(S, child(S, b)), is_process_alive(S) end},
    {sup_intensity_one_for_all_counts_once, [44], "one_for_all of three children, intensity 1: a crash, "
        "alive; another, reason", fun() ->
        S = sup(one_for_all, #{intensity => 1}, [kid(X, #{}) || X <- [a, b, c]]), finish(S, child(S, b)),
        A = is_process_alive(S), finish(S, child(S, b)), {A, exit_reason(S)} end},
    {sup_intensity_window_forgets, [44], "intensity 1 in period 1: a crash, 2.5 s, a crash: alive", fun() ->
        S = sup(one_for_one, #{intensity => 1, period => 1}, [kid(a, #{})]), finish(S, child(S, a)),
        timer:sleep(2500), finish(S, child(S, a)), A = is_process_alive(S), close(S), A end},
    {sup_gives_up_stops_the_rest, [44], "intensity 0, b of a b c crashes: what the others see, in order",
        fun() ->
        S = sup(one_for_one, #{intensity => 0}, [kid(X, #{}) || X <- [a, b, c]]), events(),
        finish(S, child(S, b)), {exit_reason(S), events()} end},
    {sup_nested_escalation, [44], "an inner supervisor gives up, as permanent, transient and temporary "
        "child: what becomes of it", fun() ->
        [begin Inner = kid(k, #{}), S = sup(one_for_one, #{},
            [kid(inner, #{restart => Restart, type => supervisor,
            start => {supervisor, start_link, [probes_kid, {#{intensity => 0}, [Inner]}]}})]),
            I = child(S, inner), exit(child(I, k), kill), gone(S, I), R = fate(I, child(S, inner)), close(S),
            {Restart, R} end || Restart <- [permanent, transient, temporary]] end},
    {sup_logs, [44], "reports of: a permanent child ends normal, shutdown, oops; a transient ends shutdown; "
        "a temporary oops; the intensity is exceeded", fun() ->
        [logged(fun() -> S = sup(one_for_one, #{intensity => I}, [kid(a, #{restart => R})]),
            finish(S, {child(S, a), W}), if I =:= 0 -> exit_reason(S); true -> close(S) end end)
            || {R, W, I} <- [{permanent, normal, 5}, {permanent, shutdown, 5}, {permanent, oops, 5},
            {transient, normal, 5}, {transient, shutdown, 5}, {temporary, oops, 5}, {temporary, normal, 5},
            {permanent, oops, 0}]] end}].

exit_reason(S) -> receive {'EXIT', S, R} -> R after 2000 -> alive end.
crash_until_end(S, N) -> finish(S, child(S, a)),
    case is_process_alive(S) of true -> crash_until_end(S, N + 1); false -> N end.

%% --- restarts that fail

%% A start function's result that changes with every start: that of fun N of the list, then of the last.
results(Fs) -> C = counters:new(1, []),
    fun() -> counters:add(C, 1, 1), (lists:nth(min(counters:get(C, 1), length(Fs)), Fs))() end.
up() -> {ok, spawn_link(fun() -> receive {exit, R} -> exit(R) end end)}.
no() -> {error, no}.

failing() -> [
    {failing_restart_is_retried, [44], "after a crash the start fails twice, then works; intensity 20: "
        "starts with the first, alive", fun() ->
        S = sup(one_for_one, #{}, [kid(a, #{},
            #{result => results([fun up/0, fun no/0, fun no/0, fun up/0])})]), finish(S, child(S, a)),
        until(fun() -> is_pid(child(S, a)) end), R = {length(events()), is_process_alive(S)}, close(S),
        R end},
    {failing_restart_counts, [44], "after a crash the start fails always; intensity 0, 1, 3: the "
        "supervisor's reason, starts with the first", fun() ->
        [begin S = sup(one_for_one, #{intensity => N},
            [kid(a, #{}, #{result => results([fun up/0, fun no/0])})]), child(S, a) ! {exit, oops},
            {N, exit_reason(S), length(events())} end || N <- [0, 1, 3]] end},
    {other_child_fails_restart, [44], "a crashes, and b's restart fails once: starts and stops", fun() ->
        [begin S = sup(Strategy, #{}, [kid(a, #{}),
            kid(b, #{}, #{result => results([fun up/0, fun no/0, fun up/0])}), kid(c, #{})]), events(),
            finish(S, child(S, a)), until(fun() -> is_pid(child(S, c)) end), E = events(), close(S),
            {Strategy, E} end || Strategy <- [one_for_all, rest_for_one]] end},
    {other_child_fails_restart_for_ever, [44], "a crashes, b's restart fails always, intensity 2: starts and stops, "
        "the supervisor's reason", fun() ->
        [begin S = sup(Strategy, #{intensity => 2},
            [kid(a, #{}), kid(b, #{}, #{result => results([fun up/0, fun no/0])}), kid(c, #{})]), events(),
            child(S, a) ! {exit, oops}, R = exit_reason(S), {Strategy, events(), R} end
            || Strategy <- [one_for_all, rest_for_one]] end},
    {hanging_restart_loop, [44], "a restart that fails for ever: the child listed as, start_child of its id, "
        "restart_child, delete_child, terminate_child, then listed as", fun() ->
        S = sup(one_for_one, #{intensity => 100000},
            [kid(a, #{}, #{result => results([fun up/0, fun() -> timer:sleep(1), no() end])})]),
        child(S, a) ! {exit, oops}, until(fun() -> child(S, a) =:= restarting end),
        A = [child(S, a), supervisor:start_child(S, kid(a, #{})), supervisor:restart_child(S, a),
            supervisor:delete_child(S, a), supervisor:terminate_child(S, a), child(S, a)], close(S), A end},
    {restart_returns_ignore, [44], "the restart returns ignore: the child is then", fun() ->
        S = sup(one_for_one, #{}, [kid(a, #{}, #{result => results([fun up/0, fun() -> ignore end])})]),
        finish(S, child(S, a)), R = child(S, a), close(S), R end}].

%% --- significant children

significant() ->
    [{lists:join("/", ["auto_shutdown", atom_to_list(Auto), atom_to_list(Restart), Name]), [44],
        "significant a, then significant b end; c is not: the supervisor after each",
        #{auto_shutdown => Auto, restart => Restart, reason => Reason}, fun() ->
        S = sup(one_for_one, #{auto_shutdown => Auto},
            [kid(X, #{restart => Restart, significant => true}) || X <- [a, b]] ++ [kid(c, #{})]),
        [A, B] = [child(S, X) || X <- [a, b]], [after_end(S, A, Reason), after_end(S, B, Reason)] end}
     || Auto <- [any_significant, all_significant], Restart <- [transient, temporary],
     {Name, Reason} <- reasons()].

after_end(S, P, Reason) ->
    case is_process_alive(S) of
        true -> finish(S, {P, Reason}), case is_process_alive(S) of true -> alive;
            false -> {exit, exit_reason(S)} end;
        false -> ended
    end.

auto_shutdown() -> [
    {significant_errors, [44], "a significant permanent child; a significant child without auto_shutdown: "
        "start_link; start_child", fun() ->
        process_flag(trap_exit, true), Start = fun(F, Spec) ->
            supervisor:start_link(probes_kid, {F, [kid(a, Spec)]}) end, S = sup(one_for_one, #{}, []),
        Any = sup(one_for_one, #{auto_shutdown => any_significant}, []),
        [Start(#{auto_shutdown => any_significant}, #{restart => permanent, significant => true}),
            Start(#{}, #{restart => transient, significant => true}),
            Start(#{auto_shutdown => nonsense}, #{}),
            supervisor:start_child(S, kid(b, #{restart => transient, significant => true})),
            supervisor:start_child(Any, kid(b, #{significant => true})),
            Start(#{auto_shutdown => any_significant},
            #{restart => transient, significant => nonsense})] end},
    {auto_shutdown_stops_the_rest, [44], "any_significant, b of a b c d ends normal: the stops, the "
        "supervisor's reason", fun() ->
        S = sup(one_for_one, #{auto_shutdown => any_significant},
            [kid(X, #{restart => transient, significant => X =:= b}) || X <- [a, b, c, d]]), events(),
        finish(S, {child(S, b), normal}), {exit_reason(S), events()} end},
    {auto_shutdown_other_child, [44], "a child that is not significant ends: alive", fun() ->
        S = sup(one_for_one, #{auto_shutdown => any_significant},
            [kid(a, #{restart => transient, significant => true}), kid(b, #{restart => transient})]),
        finish(S, {child(S, b), normal}), is_process_alive(S) end},
    {auto_shutdown_terminate_child, [44], "terminate_child of a significant child, under any and all: alive; "
        "then the other one ends normal", fun() ->
        [begin S = sup(one_for_one, #{auto_shutdown => Auto},
            [kid(X, #{restart => transient, significant => true}) || X <- [a, b]]),
            supervisor:terminate_child(S, a), A = is_process_alive(S), finish(S, {child(S, b), normal}),
            {Auto, A, exit_reason(S)} end || Auto <- [any_significant, all_significant]] end},
    {auto_shutdown_sibling_stop, [44], "one_for_all, any_significant: a crash restarts all, the significant "
        "one too: alive", fun() ->
        S = sup(one_for_all, #{auto_shutdown => any_significant},
            [kid(a, #{}), kid(b, #{restart => transient, significant => true})]), finish(S, child(S, a)),
        {is_process_alive(S), is_pid(child(S, b))} end},
    {auto_shutdown_nested, [44], "an inner supervisor shuts itself down: what becomes of it as permanent, "
        "transient, temporary child", fun() ->
        [begin Inner = kid(k, #{restart => transient, significant => true}),
            S = sup(one_for_one, #{}, [kid(inner,
            #{restart => Restart, type => supervisor,
            start => {supervisor, start_link, [probes_kid,
            {#{auto_shutdown => any_significant}, [Inner]}]}})]), I = child(S, inner),
            child(I, k) ! {exit, normal}, gone(S, I), R = fate(I, child(S, inner)), close(S), {Restart, R} end
            || Restart <- [permanent, transient, temporary]] end},
    {auto_shutdown_simple_one_for_one, [44], "all_significant with dynamic children: alive after the first "
        "ends, after the last", fun() ->
        S = sup(simple_one_for_one, #{auto_shutdown => all_significant},
            [kid(x, #{restart => temporary, significant => true,
            start => {probes_kid, start, [{self(), #{}}]}})]),
        [{ok, A}, {ok, B}] = [supervisor:start_child(S, [X]) || X <- [a, b]],
        [after_end(S, A, normal), after_end(S, B, normal)] end}].

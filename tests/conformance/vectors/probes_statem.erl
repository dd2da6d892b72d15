%% gen_statem. A machine does what its script says, fun(Type, Content, State) -> result, and tells of every
%% event: {State, Type, Content}, where Type is call for {call, From}; it begins in state a with data 0.
%% Events are sent while the machine is suspended, so that all of them wait when it resumes.
-module(probes_statem).
-behaviour(gen_statem).
-export([probes/0, start/1]).
-export([init/1, callback_mode/0, handle_event/4, terminate/3]).
-import(probes, [c/1, get1/0, absent/0, dead/0, reason/1]).

init(F) when is_function(F, 0) -> put(options, []), put(teller, none), F();
init({Options, Teller, Script, Start}) ->
    put(options, Options), put(teller, Teller), put(script, Script),
    Start.
callback_mode() -> [handle_event_function | get(options)].
handle_event(Type, Content, State, _) ->
    tell({State, kind(Type), Content}),
    (get(script))(Type, Content, State).
terminate(Reason, State, Data) -> tell({terminate, Reason, State, Data}).

tell(Event) -> case get(teller) of none -> ok; P -> P ! {told, Event} end.
kind({call, _}) -> call;
kind(Type) -> Type.

start(Script) -> machine([], none, Script, {ok, a, data}).
machine(Options, Teller, Script, Start) ->
    {ok, M} = gen_statem:start(?MODULE, {Options, Teller, Script, Start}, []), M.

%% The N events that a machine tells of, and what comes within a moment after them, when it is sent Events.
run(N, Events, Script) -> run([], N, Events, Script).
run(Options, N, Events, Script) -> run(Options, {ok, a, 0}, N, Events, Script).
run(Options, Start, N, Events, Script) ->
    M = machine(Options, self(), Script, Start), sys:suspend(M), [send(M, E) || E <- Events], sys:resume(M),
    Seen = told(N), sys:get_status(M), Seen ++ rest().
send(M, {info, X}) -> M ! X;
send(M, X) -> gen_statem:cast(M, X).
told(0) -> [];
told(N) -> receive {told, E} -> [E | told(N - 1)] after 5000 -> [missing] end.
rest() -> receive {told, E} -> [E | rest()] after 120 -> [] end.

%% What ends a machine whose script gives Result to the event go: [what was told, the exit reason].
ends(Options, Script) ->
    M = machine(Options, self(), Script, {ok, a, 0}), R = monitor(process, M), gen_statem:cast(M, go),
    End = reason(R), {rest(), End}.

s(Result) -> fun(cast, go, _) -> Result; (_, _, _) -> keep_state_and_data end.

probes() ->
    postpones() ++ next_events() ++ state_timeouts() ++ event_timeouts() ++ named_timeouts()
        ++ zero_timeouts() ++ enters() ++ results() ++ api().

%% --- postpone

postpones() -> [
    {postpone_retried_after_state_change, [{3, 5}], "e1 e2 postponed, go changes the state, e3 waits: the "
        "order", fun() ->
        run(6, [e1, e2, go, e3], postpone({next_state, b, 0})) end},
    {postpone_not_retried_on_keep_state, [{3, 5}], "e1 e2 postponed, go keeps the state, e3 waits", fun() ->
        run(4, [e1, e2, go, e3], postpone(keep_state_and_data)) end},
    {postpone_not_retried_on_same_state, [{3, 5}], "e1 e2 postponed, go is next_state to the same state, e3 waits",
        fun() ->
        run(4, [e1, e2, go, e3], postpone({next_state, a, 0})) end},
    {postpone_not_retried_on_repeat_state, [{3, 5}], "e1 e2 postponed, go repeats the state, e3 waits; "
        "without and with state_enter", fun() ->
        [run(Options, N, [e1, e2, go, e3], postpone({repeat_state, 0}))
            || {Options, N} <- [{[], 4}, {[state_enter], 6}]] end},
    {postpone_again_in_next_state, [{3, 5}], "e1 is postponed in a and in b, handled in c", fun() ->
        run(6, [e1, go, e2, go], fun(cast, go, a) -> {next_state, b, 0}; (cast, go, b) -> {next_state, c, 0};
            (cast, e1, S) when S =/= c -> {keep_state_and_data, postpone};
            (_, _, _) -> keep_state_and_data end) end},
    {postpone_with_state_change, [{3, 5}], "the event that changes the state is itself postponed", fun() ->
        run(3, [e1, e2], fun(cast, e1, a) -> {next_state, b, 0, postpone};
            (_, _, _) -> keep_state_and_data end) end},
    {postpone_false, [{3, 5}], "{postpone, false} after postpone in one list of actions", fun() ->
        run(3, [e1, go, e2], fun(cast, e1, a) -> {keep_state_and_data, [postpone, {postpone, false}]};
            (cast, go, _) -> {next_state, b, 0}; (_, _, _) -> keep_state_and_data end) end},
    {postpone_retried_event_changes_state_again, [{3, 5}], "e1 e2 e3 postponed in a; in b the retried e1 "
        "changes to c", fun() ->
        run(7, [e1, e2, e3, go], fun(cast, go, a) -> {next_state, b, 0};
            (cast, _, a) -> {keep_state_and_data, postpone}; (cast, e1, b) -> {next_state, c, 0};
            (_, _, _) -> keep_state_and_data end) end},
    {postpone_call_and_info, [{3, 5}], "a call and an info are postponed as well; the call is answered in b",
        fun() ->
        M = machine([], self(), fun({call, _}, _, a) -> {keep_state_and_data, postpone};
            (info, _, a) -> {keep_state_and_data, postpone};
            ({call, From}, ask, b) -> {keep_state_and_data, {reply, From, answered_in_b}};
            (cast, go, a) -> {next_state, b, 0}; (_, _, _) -> keep_state_and_data end, {ok, a, 0}), M ! hello,
        R = gen_statem:send_request(M, ask), gen_statem:cast(M, go),
        {gen_statem:receive_response(R, 5000), rest()} end}].

postpone(Go) -> fun(enter, _, _) -> keep_state_and_data; (cast, go, a) -> Go;
    (cast, E, a) when E =/= e3 -> {keep_state_and_data, postpone}; (_, _, _) -> keep_state_and_data end.

%% --- next_event

next_events() -> [
    {next_event_before_queued, [{3, 5}], "next_event n1 n2 while q waits", fun() ->
        run(4, [go, q], s({keep_state_and_data, [{next_event, internal, n1}, {next_event, cast, n2}]})) end},
    {next_event_of_next_event, [{3, 5}], "n1 inserts m1; n2 and q wait", fun() ->
        run(5, [go, q], fun(cast, go, _) -> {keep_state_and_data,
            [{next_event, internal, n1}, {next_event, internal, n2}]};
            (internal, n1, _) -> {keep_state_and_data, {next_event, internal, m1}};
            (_, _, _) -> keep_state_and_data end) end},
    {next_event_before_postponed, [{3, 5}], "e1 postponed; go changes the state and inserts n1; q waits",
        fun() ->
        run(5, [e1, go, q], fun(cast, e1, a) -> {keep_state_and_data, postpone};
            (cast, go, a) -> {next_state, b, 0, {next_event, internal, n1}};
            (_, _, _) -> keep_state_and_data end) end},
    {next_event_postponed, [{3, 5}], "the inserted n1 is postponed, q changes the state", fun() ->
        run(4, [go, q], fun(cast, go, a) -> {keep_state_and_data, {next_event, internal, n1}};
            (internal, n1, a) -> {keep_state_and_data, postpone}; (cast, q, a) -> {next_state, b, 0};
            (_, _, _) -> keep_state_and_data end) end},
    {next_event_and_postpone_itself, [{3, 5}], "go is postponed, changes the state and inserts n1: the order",
        fun() ->
        run(4, [go, q], fun(cast, go, a) -> {next_state, b, 0, [postpone, {next_event, internal, n1}]};
            (_, _, _) -> keep_state_and_data end) end},
    {next_event_mixed, [{3, 5}], "e1 e2 postponed in a; go to b inserts n1, which changes to c; q waits",
        fun() ->
        run(7, [e1, e2, go, q], fun(cast, E, a) when E =:= e1; E =:= e2 -> {keep_state_and_data, postpone};
            (cast, go, a) -> {next_state, b, 0, {next_event, internal, n1}};
            (internal, n1, b) -> {next_state, c, 0}; (_, _, _) -> keep_state_and_data end) end},
    {next_event_at_start, [{3, 5}], "init inserts n1; q waits", fun() ->
        run([], {ok, a, 0, {next_event, internal, n1}}, 2, [q], s(keep_state_and_data)) end}].

%% --- timeouts

state_timeouts() -> [
    {state_timeout_fires, [{3, 5}], "a state timeout", fun() ->
        run(2, [go], s({next_state, b, 0, {state_timeout, 10, t}})) end},
    {state_timeout_cancelled_by_state_change, [{3, 5}], "set in a, then to b", fun() ->
        run(2, [go, q], fun(cast, go, _) -> {keep_state_and_data, {state_timeout, 30, t}};
            (cast, q, _) -> {next_state, b, 0}; (_, _, _) -> keep_state_and_data end) end},
    {state_timeout_kept_by_keep_state, [{3, 5}], "set in a, then an event keeps the state", fun() ->
        run(3, [go, q], s({keep_state_and_data, {state_timeout, 30, t}})) end},
    {state_timeout_kept_by_same_state, [{3, 5}], "set in a, then next_state to a", fun() ->
        run(3, [go, q], timeout_then({state_timeout, 30, t}, {next_state, a, 0})) end},
    {state_timeout_kept_by_repeat_state, [{3, 5}], "set in a, then repeat_state", fun() ->
        run(3, [go, q], timeout_then({state_timeout, 30, t}, {repeat_state, 0})) end},
    {state_timeout_restarted, [{3, 5}], "set t, then set u: those that fire", fun() ->
        run(3, [go, q], timeout_then({state_timeout, 30, t},
            {keep_state_and_data, {state_timeout, 40, u}})) end},
    {state_timeout_cancel, [{3, 5}], "cancel; cancel of none; infinity", fun() ->
        [run(2, [go, q], timeout_then({state_timeout, 30, t}, {keep_state_and_data, A}))
            || A <- [{state_timeout, cancel}, {state_timeout, infinity, x}]] ++ [run(1, [go],
            s({keep_state_and_data, {state_timeout, cancel}}))] end},
    {state_timeout_update, [{3, 5}], "update of the content while it runs", fun() ->
        run(3, [go, q], timeout_then({state_timeout, 30, t},
            {keep_state_and_data, {state_timeout, update, u}})) end},
    {state_timeout_set_with_state_change_survives, [{3, 5}], "set by the transition to b itself, while one "
        "of a runs", fun() ->
        run(3, [go, q], timeout_then({state_timeout, 30, of_a},
            {next_state, b, 0, {state_timeout, 40, of_b}})) end},
    {state_timeout_postponed, [{3, 5}], "the timeout event is postponed, an info changes the state", fun() ->
        M = machine([], self(), fun(cast, go, _) -> {keep_state_and_data, {state_timeout, 10, t}};
            (state_timeout, t, a) -> {keep_state_and_data, postpone}; (info, x, a) -> {next_state, b, 0};
            (_, _, _) -> keep_state_and_data end, {ok, a, 0}), gen_statem:cast(M, go), A = told(2), M ! x,
        A ++ told(2) ++ rest() end}].

timeout_then(Timeout, Then) -> fun(cast, go, _) -> {keep_state_and_data, Timeout}; (cast, q, _) -> Then;
    (_, _, _) -> keep_state_and_data end.

event_timeouts() -> [
    {event_timeout_fires, [{3, 5}], "an event timeout, as action and as a bare number", fun() ->
        [run(2, [go], s({keep_state_and_data, A})) || A <- [{timeout, 10, t}, 10]] end},
    {event_timeout_cancelled_by_any_event, [{3, 5}], "cancelled by a cast, by an info", fun() ->
        [run(2, [go, q], s({keep_state_and_data, {timeout, 30, t}})),
            run(2, [go, {info, q}], s({keep_state_and_data, {timeout, 30, t}}))] end},
    {event_timeout_cancelled_by_timeout, [{3, 5}], "cancelled by a state timeout that fires first", fun() ->
        run(2, [go], s({keep_state_and_data, [{timeout, 40, t}, {state_timeout, 10, u}]})) end},
    {event_timeout_cancelled_by_next_event, [{3, 5}], "set together with next_event n1", fun() ->
        run(2, [go], s({keep_state_and_data, [{timeout, 20, t}, {next_event, internal, n1}]})) end},
    {event_timeout_cancelled_by_retried_event, [{3, 5}], "e1 postponed; go changes the state and sets the "
        "timeout", fun() ->
        run(3, [e1, go], fun(cast, e1, a) -> {keep_state_and_data, postpone};
            (cast, go, a) -> {next_state, b, 0, {timeout, 20, t}}; (_, _, _) -> keep_state_and_data end) end},
    {event_timeout_survives_state_change, [{3, 5}], "set by the transition to b", fun() ->
        run(2, [go], s({next_state, b, 0, {timeout, 10, t}})) end},
    {event_timeout_cancelled_by_postponed_event, [{3, 5}], "set, then an event that is postponed", fun() ->
        run(2, [go, e1], fun(cast, go, _) -> {keep_state_and_data, {timeout, 20, t}};
            (cast, e1, _) -> {keep_state_and_data, postpone}; (_, _, _) -> keep_state_and_data end) end}].

named_timeouts() -> [
    {named_timeout_survives_state_change, [{3, 5}], "set in a, then to b and c", fun() ->
        run(4, [go, q, r], fun(cast, go, _) -> {keep_state_and_data, {{timeout, n}, 30, t}};
            (cast, q, _) -> {next_state, b, 0}; (cast, r, _) -> {next_state, c, 0};
            (_, _, _) -> keep_state_and_data end) end},
    {named_timeout_survives_events, [{3, 5}], "set, then an info", fun() ->
        run(3, [go, {info, q}], s({keep_state_and_data, {{timeout, n}, 30, t}})) end},
    {named_timeout_overwritten, [{3, 5}], "set n, set n again", fun() ->
        run(3, [go, q], timeout_then({{timeout, n}, 30, t},
            {keep_state_and_data, {{timeout, n}, 40, u}})) end},
    {named_timeout_cancelled, [{3, 5}], "cancel n; cancel m, which is another", fun() ->
        [run(2, [go, q], timeout_then({{timeout, n}, 30, t}, {keep_state_and_data, {{timeout, n}, cancel}})),
            run(3, [go, q], timeout_then({{timeout, n}, 30, t},
            {keep_state_and_data, {{timeout, m}, cancel}}))] end},
    {named_timeouts_are_apart, [{3, 5}], "n in 40, m in 20 ms", fun() ->
        run(3, [go], s({keep_state_and_data, [{{timeout, n}, 40, t}, {{timeout, m}, 20, t}]})) end},
    {named_timeout_update, [{3, 5}], "update of the content while it runs; update of one that does not run",
        fun() ->
        [run(3, [go, q], timeout_then({{timeout, n}, 30, t},
            {keep_state_and_data, {{timeout, n}, update, u}})),
            run(2, [go], s({keep_state_and_data, {{timeout, n}, update, u}}))] end},
    {timeouts_of_three_kinds, [{3, 5}], "an event, a state and a named timeout together, then to b", fun() ->
        run(3, [go, q], fun(cast, go, _) -> {keep_state_and_data,
            [{timeout, 20, e}, {state_timeout, 20, s}, {{timeout, n}, 20, g}]};
            (cast, q, _) -> {next_state, b, 0}; (_, _, _) -> keep_state_and_data end) end}].

%% Timeouts of 0 are events at once: their place against inserted, retried and waiting events.
zero_timeouts() -> [
    {timeout_zero_before_queued, [{3, 5}], "a timeout of 0 of each kind, q waits", fun() ->
        [run(3, [go, q], s({keep_state_and_data, [A]}))
            || A <- [{state_timeout, 0, t}, {{timeout, n}, 0, t}]] end},
    {timeout_zero_event, [{3, 5}], "an event timeout of 0, q waits", fun() ->
        run(3, [go, q], s({keep_state_and_data, {timeout, 0, t}})) end},
    {timeout_zero_event_not_after_next_event, [{3, 5}], "an event timeout of 0 and next_event n1, q waits",
        fun() ->
        run(3, [go, q], s({keep_state_and_data, [{timeout, 0, t}, {next_event, internal, n1}]})) end},
    {timeout_zero_order, [{3, 5}], "state t, named u and event v timeouts of 0 in this order, q waits",
        fun() ->
        run(4, [go, q], s({keep_state_and_data,
            [{state_timeout, 0, t}, {{timeout, n}, 0, u}, {timeout, 0, v}]})) end},
    {timeout_zero_order_reversed, [{3, 5}], "event v, named u, state t timeouts of 0", fun() ->
        run(5, [go, q], s({keep_state_and_data,
            [{timeout, 0, v}, {{timeout, n}, 0, u}, {state_timeout, 0, t}]})) end},
    {timeout_zero_after_next_event, [{3, 5}], "a state timeout of 0 and next_event n1, q waits", fun() ->
        run(4, [go, q], s({keep_state_and_data, [{state_timeout, 0, t}, {next_event, internal, n1}]})) end},
    {timeout_zero_after_retried, [{3, 5}], "e1 postponed; go changes the state with a state timeout of 0, q "
        "waits", fun() ->
        run(5, [e1, go, q], fun(cast, e1, a) -> {keep_state_and_data, postpone};
            (cast, go, a) -> {next_state, b, 0, {state_timeout, 0, t}};
            (_, _, _) -> keep_state_and_data end) end},
    {timeout_zero_cancelled_by_next_event_that_changes_state, [{3, 5}], "a state timeout of 0 and n1, which "
        "changes the state", fun() ->
        run(3, [go, q], fun(cast, go, a) -> {keep_state_and_data,
            [{state_timeout, 0, t}, {next_event, internal, n1}]}; (internal, n1, a) -> {next_state, b, 0};
            (_, _, _) -> keep_state_and_data end) end}].

%% --- state_enter

enters() -> [
    {enter_on_start_and_change, [{3, 5}], "enter events at the start and at a change; none for the same "
        "state, one for repeat_state", fun() ->
        run([state_enter], 7, [same, keep, again, go],
            fun(enter, _, _) -> keep_state_and_data; (cast, same, _) -> {next_state, a, 0};
            (cast, keep, _) -> {keep_state, 0}; (cast, again, _) -> {repeat_state, 0};
            (cast, go, _) -> {next_state, b, 0}; (_, _, _) -> keep_state_and_data end) end},
    {enter_repeat_state_and_data, [{3, 5}], "repeat_state_and_data in b, come from a", fun() ->
        run([state_enter], 5, [go, again], fun(cast, go, _) -> {next_state, b, 0};
            (cast, again, _) -> repeat_state_and_data; (_, _, _) -> keep_state_and_data end) end},
    {enter_before_next_and_retried_events, [{3, 5}], "e1 postponed; go to b inserts n1; q waits", fun() ->
        run([state_enter], 7, [e1, go, q], fun(cast, e1, a) -> {keep_state_and_data, postpone};
            (cast, go, a) -> {next_state, b, 0, {next_event, internal, n1}};
            (_, _, _) -> keep_state_and_data end) end},
    {enter_sets_timeouts, [{3, 5}], "entering b sets a state timeout", fun() ->
        run([state_enter], 4, [go], fun(enter, _, b) -> {keep_state_and_data, {state_timeout, 10, t}};
            (cast, go, _) -> {next_state, b, 0}; (_, _, _) -> keep_state_and_data end) end},
    {enter_changes_data, [{3, 5}], "entering b changes the data, then stop", fun() ->
        ends([state_enter], fun(enter, _, b) -> {keep_state, 1}; (enter, _, _) -> keep_state_and_data;
            (cast, go, a) -> {next_state, b, 0, {next_event, internal, n}};
            (internal, n, _) -> stop end) end},
    {enter_may_not, [{3, 5}], "entering b changes the state, postpones, inserts an event: what ends the "
        "machine", fun() ->
        [ends([state_enter], fun(enter, _, b) -> R; (cast, go, a) -> {next_state, b, 0};
            (_, _, _) -> keep_state_and_data end)
            || R <- [{next_state, c, 0}, {keep_state_and_data, postpone},
            {keep_state_and_data, {next_event, internal, n}}]] end},
    {enter_may_stop, [{3, 5}], "entering b stops", fun() ->
        ends([state_enter], fun(enter, _, b) -> {stop, bye}; (cast, go, a) -> {next_state, b, 0};
            (_, _, _) -> keep_state_and_data end) end},
    {enter_same_state_as_next, [{3, 5}], "entering b returns next_state b", fun() ->
        run([state_enter], 4, [go, q], fun(enter, _, b) -> {next_state, b, 0};
            (cast, go, a) -> {next_state, b, 0}; (_, _, _) -> keep_state_and_data end) end},
    {enter_repeats_itself, [{3, 5}], "entering b the first time repeats the state", fun() ->
        run([state_enter], 4, [go], fun(enter, a, b) ->
            case put(seen, true) of undefined -> repeat_state_and_data; _ -> keep_state_and_data end;
            (cast, go, a) -> {next_state, b, 0}; (_, _, _) -> keep_state_and_data end) end},
    {enter_replies, [{3, 5}], "a call's From kept as the state is answered on entering", fun() ->
        M = machine([state_enter], none, fun({call, From}, go, a) -> {next_state, {b, From}, 0};
            (enter, _, {b, From}) -> {keep_state_and_data, {reply, From, entered}};
            (_, _, _) -> keep_state_and_data end, {ok, a, 0}), gen_statem:call(M, go) end}].

%% --- results

results() -> [
    {stop_results, [{3, 5}], "stop, {stop, R}, {stop, R, Data}: what is told, the exit reason", fun() ->
        [ends([], s(R)) || R <- [stop, {stop, bye}, {stop, {shutdown, x}, 1}]] end},
    {stop_and_reply, [{3, 5}], "stop_and_reply: the call's value, the exit reason; what terminate got",
        fun() ->
        M = machine([], self(), fun({call, From}, go, _) ->
            {stop_and_reply, bye, [{reply, From, last_words}], 7} end, {ok, a, 0}), R = monitor(process, M),
        [gen_statem:call(M, go), reason(R), rest()] end},
    {stop_without_reply, [{3, 5}], "a call that is answered by {stop, R}", fun() ->
        M = start(s2({stop, bye})), case c(fun() -> gen_statem:call(M, go) end) of {exit,
            {W, {gen_statem, call, _}}} -> {exit, W} end end},
    {stop_drops_postponed_and_queued, [{3, 5}], "e1 postponed, go stops, q waits: what is told", fun() ->
        M = machine([], self(), fun(cast, e1, a) -> {keep_state_and_data, postpone};
            (cast, go, a) -> stop end, {ok, a, 0}), R = monitor(process, M), sys:suspend(M),
        [send(M, E) || E <- [e1, go, q]], sys:resume(M), End = reason(R), {rest(), End} end},
    {bad_return, [{3, 5}], "a callback returns nonsense, a tuple that is no result: what ends the machine",
        fun() ->
        [ends([], s(R)) || R <- [nonsense, {next_state, b}]] end},
    {bad_action, [{3, 5}], "an action that is none, a bad timeout, a bad next_event type", fun() ->
        [ends([], s({keep_state_and_data, A}))
            || A <- [nonsense, {state_timeout, -1, x}, {next_event, nonsense, x}]] end},
    {callback_crash, [{3, 5}], "a callback raises, exits", fun() ->
        [ends([], fun(_, _, _) -> F() end) || F <- [fun() -> error(boom) end, fun() -> exit(out) end]] end},
    {throw_is_result, [{3, 5}], "a callback throws a result; throws nonsense", fun() ->
        [run(2, [go, q], fun(cast, go, _) -> throw({next_state, b, 0}); (_, _, _) -> keep_state_and_data end),
            ends([], fun(_, _, _) -> throw(ball) end)] end},
    {keep_state_and_data, [{3, 5}], "keep_state_and_data, {keep_state, 1}, then sys:get_state", fun() ->
        M = start(fun(cast, go, _) -> {keep_state, 1}; (_, _, _) -> keep_state_and_data end),
        gen_statem:cast(M, x), A = sys:get_state(M), gen_statem:cast(M, go), [A, sys:get_state(M)] end},
    {event_types, [{3, 5}], "a cast, an info, an internal event, a state timeout", fun() ->
        run(4, [go, {info, i}], s({keep_state_and_data,
            [{next_event, internal, n}, {state_timeout, 0, t}]})) end},
    {reply_actions, [{3, 5}], "two replies in one list of actions to two calls", fun() ->
        M = start(fun({call, F}, one, a) -> {next_state, {b, F}, 0};
            ({call, G}, two, {b, F}) -> {keep_state_and_data, [{reply, F, 1}, {reply, G, 2}]} end),
        R = gen_statem:send_request(M, one), B = gen_statem:call(M, two),
        [gen_statem:receive_response(R, 5000), B] end}].

s2(Result) -> fun({call, _}, go, _) -> Result; (_, _, _) -> keep_state_and_data end.

%% --- start, call, stop

api() -> [
    {statem_init_results, [{3, 5}], "init stops, ignores, raises, returns nonsense, returns {ok, State}",
        fun() ->
        [gen_statem:start(?MODULE, F, []) || F <- [fun() -> {stop, why} end, fun() -> ignore end,
            fun() -> error(boom) end, fun() -> nonsense end, fun() -> {ok, a} end]] end},
    {statem_init_action_timeout, [{3, 5}], "init sets a state timeout", fun() ->
        run([], {ok, a, 0, {state_timeout, 10, t}}, 1, [], s(keep_state_and_data)) end},
    {statem_call_errors, [{3, 5}], "a call that times out, to a dead machine, to a name that nobody has",
        fun() ->
        [case c(F) of {exit, {R, {gen_statem, call, _}}} -> {exit, R} end
            || F <- [fun() -> gen_statem:call(start(s(keep_state_and_data)), x, 20) end,
            fun() -> gen_statem:call(dead(), x) end, fun() -> gen_statem:call(nobody, x) end]] end},
    {statem_late_reply, [{3, 5}], "the reply to a call that timed out", fun() ->
        M = start(fun({call, F}, x, a) -> {next_state, {b, F}, 0};
            (cast, go, {b, F}) -> {next_state, c, 0, {reply, F, late}} end),
        c(fun() -> gen_statem:call(M, x, 20) end), gen_statem:cast(M, go), sys:get_state(M), absent() end},
    {statem_cast_noproc, [{3, 5}], "cast to a dead machine, to a name that nobody has", fun() ->
        [gen_statem:cast(dead(), x), gen_statem:cast(nobody, x)] end},
    {statem_stop, [{3, 5}], "stop, stop with a reason: value, what is told, exit reason; stop of a dead one",
        fun() ->
        [begin M = machine([], self(), s(keep_state_and_data), {ok, a, 0}), R = monitor(process, M),
            {gen_statem:stop(M, W, infinity), rest(), reason(R)} end
            || W <- [normal, oops]] ++ [c(fun() -> gen_statem:stop(dead()) end)] end},
    {statem_parent_exit, [{3, 5}], "the parent of a trapping machine exits oops: what is told, exit reason",
        fun() ->
        Me = self(), Parent = spawn(fun() ->
            {ok, M} = gen_statem:start_link(?MODULE,
            fun() -> process_flag(trap_exit, true), put(teller, Me), put(script, s(keep_state_and_data)),
            {ok, a, 0} end, []), Me ! M, probes:idle() end), R = monitor(process, get1()),
        Parent ! {exit, oops}, End = reason(R), {rest(), End} end},
    {statem_unrelated_EXIT, [{3, 5}], "exit(M, oops) by a stranger to a trapping machine", fun() ->
        M = machine([], self(), fun(cast, go, _) -> process_flag(trap_exit, true), keep_state_and_data;
            (_, _, _) -> keep_state_and_data end, {ok, a, 0}), gen_statem:cast(M, go), told(1), exit(M, oops),
        told(1) end}].

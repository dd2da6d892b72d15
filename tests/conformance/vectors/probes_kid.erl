%% Children for supervisors, and the supervisor's init. A child tells the prober of its start, of its stop
%% when it traps exits, and does what it is told; options say what its start function and its end do.
-module(probes_kid).
-behaviour(supervisor).
-export([init/1, start/3, start/2]).
-export([sup/2, sup/3, kid/2, kid/3, child/2, ids/1, order/1, gone/2, finish/2, events/0, close/1]).
-import(probes, [until/1]).

%% --- the supervisor

init({ok, Result}) -> Result;
init({Flags, Specs}) -> {ok, {Flags, Specs}}.

%% A supervisor linked to the prober, which traps exits.
sup(Flags, Specs) ->
    process_flag(trap_exit, true),
    {ok, S} = supervisor:start_link(?MODULE, {maps:merge(#{intensity => 20, period => 60}, Flags), Specs}), S.
sup(Strategy, Flags, Specs) -> sup(Flags#{strategy => Strategy}, Specs).

close(S) -> M = monitor(process, S), unlink(S), exit(S, shutdown), probes:reason(M).

%% --- its children

kid(Id, Spec) -> kid(Id, Spec, #{}).
kid(Id, Spec, Options) -> maps:merge(#{id => Id, start => {?MODULE, start, [Id, self(), Options]}}, Spec).

%% start/3 with the arguments as simple_one_for_one appends them.
start({Teller, Options}, Id) -> start(Id, Teller, Options).

start(Id, Teller, Options) ->
    Teller ! {event, {start, Id}},
    case Options of
        #{result := Result} when is_function(Result) -> Result();
        #{} -> proc_lib:start_link(erlang, apply, [fun kid_init/3, [Id, Teller, Options]])
    end.

kid_init(Id, Teller, Options) ->
    process_flag(trap_exit, maps:get(trap, Options, true)),
    proc_lib:init_ack({ok, self()}),
    loop(Id, Teller, Options).

loop(Id, Teller, Options) ->
    receive
        {'EXIT', _, _} when is_map_key(stubborn, Options) -> loop(Id, Teller, Options);
        {'EXIT', _, Reason} -> Teller ! {event, {stop, Id, Reason}}, exit(maps:get(reason, Options, Reason));
        {exit, Reason} -> exit(Reason);
        {run, F} -> F(), loop(Id, Teller, Options)
    end.

%% --- looking at it

child(S, Id) -> case lists:keyfind(Id, 1, supervisor:which_children(S)) of {Id, P, _, _} -> P;
    false -> deleted end.
ids(S) -> [Id || {Id, _, _, _} <- supervisor:which_children(S)].

%% The ids oldest first: which_children gives the youngest first.
order(S) -> lists:reverse(ids(S)).

%% Waits until the supervisor has dealt with the end of a process: it no longer lists it, or has ended itself.
gone(S, P) -> until(fun() -> not is_process_alive(S) orelse not lists:keymember(P, 2,
    try supervisor:which_children(S) catch exit:_ -> [] end) end).

%% Ends a child with a reason, by itself or, for killed, by a signal; waits for the supervisor.
finish(S, P) when is_pid(P) -> finish(S, {P, oops});
finish(S, {P, killed}) -> exit(P, kill), gone(S, P);
finish(S, {P, Reason}) -> P ! {exit, Reason}, gone(S, P).

events() -> receive {event, E} -> [E | events()] after 30 -> [] end.

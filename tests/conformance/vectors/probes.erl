%% Runs the probes of one group on a real Erlang and prints a line "name<TAB>json" for each.
%%
%% A probe is {Name, Cases, What, Fun} or, as a row of a table, {Name, Cases, What, Input, Fun}; Fun runs in a
%% process of its own and its value is the answer. Cases: N stands for case N of beam.md section 4,
%% {3,5} for section 3.5. The mapping of terms to JSON is in README.md.
%% This module knows the runner, the encoding and the helpers, not what is probed.
-module(probes).
-export([main/1, run/1, log/2]).
-export([c/1, ex/1, get1/0, absent/0, absent/1, idle/0, idler/0, linked_idler/0, dead/0, down/1, reason/1,
    mailbox/0, until/1, info/2, logged/1, times/2]).

main([Group]) ->
    ok = logger:remove_handler(default),
    header(),
    lists:foreach(fun(M) -> lists:foreach(fun run/1, M:probes()) end, modules(Group)),
    halt(0).

modules("one_node") -> [probes_signals, probes_monitors, probes_names, probes_server, probes_sys, probes_pg];
modules("exit_signals") -> [probes_exit];
modules("statem") -> [probes_statem];
modules("supervisor") -> [probes_supervisor, probes_restart];
modules("two_nodes") -> [probes_nodes].

header() ->
    Release = erlang:system_info(otp_release),
    {ok, Otp} = file:read_file(filename:join([code:root_dir(), "releases", Release, "OTP_VERSION"])),
    io:format("otp\t\"~s\"~nerts\t\"~s\"~n", [string:trim(Otp), erlang:system_info(version)]).

run({Name, Cases, What, Fun}) -> run({Name, Cases, What, #{}, Fun});
run({Name, Cases, What, Input, Fun}) ->
    Before = processes(),
    {P, M} = spawn_monitor(fun() -> exit({answer, Fun()}) end),
    receive
        {'DOWN', M, _, P, {answer, Value}} ->
            clear(processes() -- Before),
            Fields = [["\"beam\": ", list([quote(beam(Case)) || Case <- Cases])], ["\"what\": ", quote(What)]]
                ++ [["\"input\": ", object([{quote(K), encode(V)}
                    || {K, V} <- lists:sort(maps:to_list(Input))])] || Input =/= #{}]
                ++ [["\"value\": ", encode(Value)]],
            io:format("~s\t{~s}~n", [Name, lists:join(", ", Fields)]);
        {'DOWN', M, _, P, Reason} ->
            io:format(standard_error, "~s failed: ~p~n", [Name, Reason]), halt(1)
    after 60000 ->
        io:format(standard_error, "~s hangs: ~p~n", [Name, process_info(P, [current_stacktrace, messages])]),
        halt(1)
    end.

%% Ends what a probe left running, so that the next one finds no name taken.
clear(Left) -> [exit(P, kill) || P <- Left], [down(P) || P <- Left].

beam({Section, Part}) -> io_lib:format("~b.~b", [Section, Part]);
beam(Case) -> io_lib:format("4.~b", [Case]).

%% --- terms to JSON

encode(true) -> "true";
encode(false) -> "false";
encode(Atom) when Atom =:= node() -> tag("node", "true");
encode(Atom) when is_atom(Atom) -> quote(Atom);
encode(Int) when is_integer(Int) -> integer_to_list(Int);
encode(Binary) when is_binary(Binary) -> tag("b", quote(Binary));
encode(Pid) when is_pid(Pid) -> tag("pid", "true");
encode(Ref) when is_reference(Ref) -> tag("ref", "true");
encode(Fun) when is_function(Fun) -> tag("fun", "true");
encode(Tuple) when is_tuple(Tuple) -> tag("t", list([encode(X) || X <- tuple_to_list(Tuple)]));
encode(Map) when is_map(Map) -> tag("m",
    list([list([encode(K), encode(V)]) || {K, V} <- lists:sort(maps:to_list(Map))]));
encode(List) when is_list(List) ->
    case is_stack(List) of
        true -> tag("stack", "true");
        false -> list([encode(X) || X <- List])
    end.

is_stack([]) -> false;
is_stack(List) -> lists:all(fun is_frame/1, List).
is_frame({M, F, A, Where}) -> is_atom(M) andalso is_atom(F) andalso (is_integer(A) orelse is_list(A))
    andalso is_list(Where);
is_frame(_) -> false.

tag(Key, Json) -> ["{\"", Key, "\": ", Json, "}"].
list(Items) -> ["[", lists:join(", ", Items), "]"].
object(Fields) -> ["{", lists:join(", ", [[K, ": ", V] || {K, V} <- Fields]), "}"].
quote(Text) -> ["\"", string:replace(string:replace(io_lib:format("~ts", [Text]), "\\", "\\\\", all), "\"",
    "\\\"", all), "\""].

%% --- helpers of the probes

%% The value of F, or {Class, Reason} of what it raised.
c(F) -> try F() catch Class:Reason -> {Class, Reason} end.

%% The exit reason of a fresh process that runs F.
ex(F) -> {_, M} = spawn_monitor(F), reason(M).

reason(M) -> receive {'DOWN', M, _, _, R} -> R after 5000 -> no_down end.
down(P) -> reason(monitor(process, P)).

%% The next message that is expected, and one that is expected not to come.
get1() -> receive M -> M after 5000 -> none end.
absent() -> absent(50).
absent(Ms) -> receive M -> M after Ms -> none end.

%% What is in the mailbox and comes within a moment.
mailbox() -> receive M -> [M | mailbox()] after 50 -> [] end.

idle() -> receive stop -> ok; {exit, R} -> exit(R) end.
idler() -> spawn(fun idle/0).
linked_idler() -> spawn_link(fun idle/0).
dead() -> {P, M} = spawn_monitor(fun() -> ok end), _ = reason(M), P.

info(P, Item) -> {Item, V} = process_info(P, Item), V.
times(N, F) -> lists:usort([F() || _ <- lists:seq(1, N)]).

until(F) -> until(F, 5000).
until(_, 0) -> error(condition_never_met);
until(F, N) ->
    case F() of
        true -> ok;
        false -> receive after 1 -> until(F, N - 1) end
    end.

%% The labels of what F's processes logged: the events arrive before the DOWN of the process that logged them.
logged(F) ->
    ok = logger:add_handler(probe, ?MODULE, #{config => self(), level => all}),
    F(),
    ok = logger:remove_handler(probe),
    labels().

labels() -> receive {log, L} -> [L | labels()] after 0 -> [] end.

log(#{msg := {report, #{label := {supervisor, _} = L, report := R}}}, #{config := P}) ->
    P ! {log, {L, proplists:get_value(reason, R)}};
log(#{msg := {report, #{label := L}}}, #{config := P}) -> P ! {log, L};
log(#{level := L}, #{config := P}) -> P ! {log, L}.

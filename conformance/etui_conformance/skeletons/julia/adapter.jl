# An adapter of the Etui conformance suite, for a library in Julia.
#
# The suite starts this program once and asks it things: a JSON object a line on standard input, and for each an answer,
# a JSON object a line, on standard output. Standard error is yours: what you print there is shown beside a failure.
#
#     etui-conformance smoke --adapter "julia adapter.jl"
#     etui-conformance run --profile weights-reader --adapter "julia adapter.jl"
#
# The adapter claims nothing yet, and so answers every question but `hello`, `reset` and `bye` with `unsupported`.
# It grows in this order, and each step turns checks from "not claimed" into "passed":
#
# 1. `decode`: call your library, answer with what it read, and claim it in `CLAIMED_OPS` and `hello`.
# 2. `validate`: call your library's full verification.
# 3. `encode` and `transcode`: call your library's writer.
#
# SPEC.md, annex P, says what each request and each answer holds. `messages.jl` is there so that the adapter runs
# without a registry; put JSON.jl in its place if you like. Remember that Julia's arrays are in column-major order, and
# those of an artifact in row-major order.

using Base64: base64decode, base64encode

include("messages.jl")

const CLAIMED_OPS = String[] # decode, validate, encode, transcode: what you have written below
const INLINE_LIMIT = 1 << 20 # bytes; larger data goes by file

"""The fields of an answer."""
const Fields = Dict{String,Any}

"""Your library refuses the artifact, as SPEC.md chapter 20 says: throw this with its class and code."""
struct Refusal <: Exception
    class::String
    code::String
    at::String
end

"""Your library does not have what is asked for."""
struct Unsupported <: Exception
    what::String
end

"""What lasts between two requests."""
mutable struct Adapter
    folder::String # where files go between the suite and you; named by hello
    files::Int
end

# What the suite asks: each function takes a request and gives the fields of the answer `ok`.

"""Say who you are, and claim what you can do; nobody asks for what you do not claim."""
function hello(adapter::Adapter, request)
    startswith(request["protocol"], "1.") || throw(Unsupported("protocol:" * request["protocol"]))
    adapter.folder = request["folder"]
    return Fields(
        "name" => "my-etui",
        "version" => "0.1",
        "language" => "julia",
        "ops" => CLAIMED_OPS,
        "areas" => [],    # weights, config, training, optimizer, state, parts
        "forms" => [],    # packed, directory
        "features" => [], # chunks, encoding.complex, encoding.packed4, encoding.quantized, encoding.string, …
        "dtypes" => [],   # float32, int8, …: those of SPEC.md chapter 2.1
        "formats" => [],
    )
end

"""Open an artifact and answer with what it holds: identity, profile, content, read."""
function decode(adapter::Adapter, request)
    path = path_of(adapter, request["artifact"])
    # Call your library here, for example:
    #     model = MyEtui.open(path)
    #     return Fields("identity" => model.identity, "profile" => model.profile, "content" => …, "read" => [])
    # and turn its exceptions into Refusal. A tensor is
    #     merge(Fields("dtype" => "float32", "shape" => [2, 3]), data_of(adapter, bytes))
    throw(Unsupported("op:decode of " * basename(path)))
end

"""Verify every byte of an artifact, or check one document."""
function validate(::Adapter, request)
    haskey(request, "document") || throw(Unsupported("op:validate"))
    data = bytes_of(request["data"])
    throw(Unsupported("op:validate of a document of $(length(data)) bytes"))
end

"""Forget everything: the next request must not find traces of those before."""
forget(::Adapter, request) = Fields()

"""The last request; the program ends behind it."""
bye(::Adapter, request) = Fields()

"""Bytes that the suite sends: base64 or a file."""
bytes_of(data) = haskey(data, "file") ? read(data["file"]) : base64decode(data["data"])

"""Bytes on their way to the suite."""
function data_of(adapter::Adapter, data::Vector{UInt8})
    length(data) < INLINE_LIMIT && return Fields("data" => base64encode(data))
    return Fields("file" => written(adapter, data))
end

"""Where an artifact is: its folder, or its packed file, which is written if it came inline."""
function path_of(adapter::Adapter, artifact)
    haskey(artifact, "directory") && return artifact["directory"]
    packed = artifact["packed"]
    return haskey(packed, "file") ? packed["file"] : written(adapter, bytes_of(packed))
end

function written(adapter::Adapter, data::Vector{UInt8})
    adapter.files += 1
    path = joinpath(adapter.folder, "adapter-$(adapter.files).bin")
    write(path, data)
    return path
end

const OPS = Dict{String,Function}(
    "hello" => hello,
    "decode" => decode,
    "validate" => validate,
    "reset" => forget,
    "bye" => bye,
)

"""The answer to a request, whatever happens."""
function answered(adapter::Adapter, request)
    answer = try
        request["op"] in ("hello", "reset", "bye", CLAIMED_OPS...) || throw(Unsupported("op:" * request["op"]))
        merge(Fields("result" => "ok"), OPS[request["op"]](adapter, request))
    catch failure
        answer_of(failure)
    end
    answer["id"] = request["id"]
    return answer
end

answer_of(failure::Refusal) =
    Fields("result" => "reject", "class" => failure.class, "code" => failure.code, "at" => failure.at)

answer_of(failure::Unsupported) = Fields("result" => "unsupported", "what" => failure.what)

function answer_of(failure)
    showerror(stderr, failure, catch_backtrace())
    println(stderr)
    return Fields("result" => "fault", "message" => sprint(showerror, failure))
end

"""Answer until the suite says bye, or is gone."""
function main()
    adapter = Adapter("", 0)
    for line in eachline(stdin)
        isempty(strip(line)) && continue
        request = Messages.parse_line(line)
        println(stdout, Messages.line_of(answered(adapter, request)))
        flush(stdout)
        request["op"] == "bye" && break
    end
end

main()

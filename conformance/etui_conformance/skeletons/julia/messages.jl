# JSON for the messages of the protocol. Not for the documents of an artifact, whose rules are stricter (SPEC.md
# chapter 3).

module Messages

"""The value of a line: `Dict{String,Any}`, `Vector{Any}`, `String`, `Int64`, `Float64`, `Bool` or `nothing`."""
function parse_line(line::AbstractString)
    parser = Parser(Vector{UInt8}(codeunits(String(line))), 1)
    value = value!(parser)
    space!(parser)
    parser.place > length(parser.bytes) || wrong(parser, "something behind the value")
    return value
end

"""The text of a value, on one line."""
line_of(value) = sprint(write_value, value)

mutable struct Parser
    bytes::Vector{UInt8}
    place::Int
end

wrong(parser::Parser, what) = error("no JSON: $what at byte $(parser.place)")

"""The next byte, zero at the end."""
peek_byte(parser::Parser) = parser.place <= length(parser.bytes) ? parser.bytes[parser.place] : 0x00

function space!(parser::Parser)
    while peek_byte(parser) in (0x20, 0x09, 0x0a, 0x0d)
        parser.place += 1
    end
end

"""Steps over a character if it is next, after any white space."""
function eats!(parser::Parser, character::Char)
    space!(parser)
    found = peek_byte(parser) == UInt8(character)
    if found
        parser.place += 1
    end
    return found
end

function value!(parser::Parser)
    space!(parser)
    for (word, value) in (("null", nothing), ("true", true), ("false", false))
        stop = parser.place + length(word) - 1
        if stop <= length(parser.bytes) && parser.bytes[parser.place:stop] == codeunits(word)
            parser.place = stop + 1
            return value
        end
    end
    byte = peek_byte(parser)
    byte == UInt8('{') && return object!(parser)
    byte == UInt8('[') && return list!(parser)
    byte == UInt8('"') && return string!(parser)
    return number!(parser)
end

function object!(parser::Parser)
    parser.place += 1
    members = Dict{String,Any}()
    while !eats!(parser, '}')
        isempty(members) || eats!(parser, ',') || wrong(parser, "no comma")
        space!(parser)
        key = string!(parser)
        eats!(parser, ':') || wrong(parser, "no colon")
        members[key] = value!(parser)
    end
    return members
end

function list!(parser::Parser)
    parser.place += 1
    items = Any[]
    while !eats!(parser, ']')
        isempty(items) || eats!(parser, ',') || wrong(parser, "no comma")
        push!(items, value!(parser))
    end
    return items
end

function number!(parser::Parser)
    start = parser.place
    while Char(peek_byte(parser)) in "0123456789+-.eE"
        parser.place += 1
    end
    token = String(parser.bytes[start:parser.place-1])
    value = something(tryparse(Int64, token), tryparse(Float64, token), Some(nothing))
    return value === nothing ? wrong(parser, "no value") : value
end

function string!(parser::Parser)
    peek_byte(parser) == UInt8('"') || wrong(parser, "no string")
    parser.place += 1
    out = IOBuffer()
    while peek_byte(parser) != UInt8('"')
        parser.place <= length(parser.bytes) || wrong(parser, "a string without end")
        byte = peek_byte(parser)
        parser.place += 1
        if byte == UInt8('\\')
            print(out, escape!(parser))
        else
            write(out, byte)
        end
    end
    parser.place += 1
    return String(take!(out))
end

const ESCAPES = Dict('b' => '\b', 'f' => '\f', 'n' => '\n', 'r' => '\r', 't' => '\t')

function escape!(parser::Parser)
    letter = Char(peek_byte(parser))
    parser.place += 1
    letter == 'u' || return get(ESCAPES, letter, letter)
    code = hex!(parser)
    if 0xd800 <= code < 0xdc00
        # The second half of a pair of escapes.
        parser.place += 2
        code = 0x10000 + ((code - 0xd800) << 10) + (hex!(parser) - 0xdc00)
    end
    return Char(code)
end

function hex!(parser::Parser)
    stop = parser.place + 3
    stop <= length(parser.bytes) || wrong(parser, "no escape")
    code = parse(UInt32, String(parser.bytes[parser.place:stop]); base = 16)
    parser.place = stop + 1
    return code
end

write_value(io::IO, ::Nothing) = print(io, "null")
write_value(io::IO, value::Real) = print(io, value)

function write_value(io::IO, text::AbstractString)
    print(io, '"')
    for character in text
        if character == '"' || character == '\\'
            print(io, '\\', character)
        elseif character < ' '
            print(io, "\\u", string(UInt32(character); base = 16, pad = 4))
        else
            print(io, character)
        end
    end
    print(io, '"')
end

function write_value(io::IO, items::AbstractVector)
    print(io, '[')
    for (i, item) in enumerate(items)
        i > 1 && print(io, ',')
        write_value(io, item)
    end
    print(io, ']')
end

function write_value(io::IO, members::AbstractDict)
    print(io, '{')
    for (i, (key, value)) in enumerate(members)
        i > 1 && print(io, ',')
        write_value(io, key)
        print(io, ':')
        write_value(io, value)
    end
    print(io, '}')
end

end

// JSON for the messages of the protocol. Not for the documents of an artifact, whose rules are stricter (SPEC.md
// chapter 3).

#pragma once

#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace json {

/// A JSON value. A number keeps its text, so that an integer of 64 bits stays what it is.
struct Value {
  enum class Kind { null, boolean, number, text, list, object };

  Kind kind = Kind::null;
  bool boolean = false;
  std::string text;                                    // of a number or a text
  std::vector<Value> items;                            // of a list
  std::vector<std::pair<std::string, Value>> members;  // of an object

  Value() = default;
  Value(bool value) : kind(Kind::boolean), boolean(value) {}
  Value(std::int64_t value) : kind(Kind::number), text(std::to_string(value)) {}
  Value(std::string value) : kind(Kind::text), text(std::move(value)) {}
  Value(const char* value) : kind(Kind::text), text(value) {}
  Value(std::vector<Value> values) : kind(Kind::list), items(std::move(values)) {}

  static Value object(std::vector<std::pair<std::string, Value>> members) {
    Value value;
    value.kind = Kind::object;
    value.members = std::move(members);
    return value;
  }

  /// A member of an object; null where there is none.
  const Value& operator[](std::string_view key) const {
    static const Value null;
    for (const auto& [name, value] : members) {
      if (name == key) return value;
    }
    return null;
  }

  bool is_null() const { return kind == Kind::null; }
};

inline std::string text_of(std::string_view text) {
  std::string out = "\"";
  for (const char character : text) {
    if (character == '"' || character == '\\') {
      out += '\\';
      out += character;
    } else if (static_cast<unsigned char>(character) < 0x20) {
      char escape[7];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(character));
      out += escape;
    } else {
      out += character;
    }
  }
  return out + '"';
}

/// The text of a value, on one line.
inline std::string dump(const Value& value) {
  std::string out;
  switch (value.kind) {
    case Value::Kind::null: return "null";
    case Value::Kind::boolean: return value.boolean ? "true" : "false";
    case Value::Kind::number: return value.text;
    case Value::Kind::text: return text_of(value.text);
    case Value::Kind::list:
      for (const auto& item : value.items) out += (out.empty() ? "" : ",") + dump(item);
      return "[" + out + "]";
    case Value::Kind::object:
      for (const auto& [key, member] : value.members) out += (out.empty() ? "" : ",") + text_of(key) + ":" + dump(member);
      return "{" + out + "}";
  }
  return out;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Value document() {
    Value value = this->value();
    space();
    if (place_ < text_.size()) wrong("something behind the value");
    return value;
  }

 private:
  [[noreturn]] void wrong(const std::string& what) const {
    throw std::runtime_error("no JSON: " + what + " at byte " + std::to_string(place_));
  }

  char next() const { return place_ < text_.size() ? text_[place_] : '\0'; }

  void space() {
    while (next() == ' ' || next() == '\t' || next() == '\n' || next() == '\r') ++place_;
  }

  /// Steps over a byte if it is next, after any white space.
  bool eats(char byte) {
    space();
    if (next() != byte) return false;
    ++place_;
    return true;
  }

  bool eats_word(std::string_view word) {
    if (text_.substr(place_, word.size()) != word) return false;
    place_ += word.size();
    return true;
  }

  Value value() {
    space();
    if (eats_word("null")) return {};
    if (eats_word("true")) return true;
    if (eats_word("false")) return false;
    switch (next()) {
      case '{': return object();
      case '[': return list();
      case '"': return string();
      default: return number();
    }
  }

  Value object() {
    ++place_;
    std::vector<std::pair<std::string, Value>> members;
    while (!eats('}')) {
      if (!members.empty() && !eats(',')) wrong("no comma");
      space();
      std::string key = string();
      if (!eats(':')) wrong("no colon");
      Value member = value();
      members.emplace_back(std::move(key), std::move(member));
    }
    return Value::object(std::move(members));
  }

  Value list() {
    ++place_;
    std::vector<Value> items;
    while (!eats(']')) {
      if (!items.empty() && !eats(',')) wrong("no comma");
      items.push_back(value());
    }
    return items;
  }

  Value number() {
    const std::size_t start = place_;
    while (std::isdigit(static_cast<unsigned char>(next())) != 0 || std::string_view("+-.eE").find(next()) < 5) ++place_;
    if (place_ == start) wrong("no value");
    Value value;
    value.kind = Value::Kind::number;
    value.text = std::string(text_.substr(start, place_ - start));
    return value;
  }

  std::string string() {
    if (next() != '"') wrong("no string");
    ++place_;
    std::string out;
    while (next() != '"') {
      if (place_ >= text_.size()) wrong("a string without end");
      if (next() == '\\') {
        ++place_;
        escape(out);
      } else {
        out += text_[place_++];
      }
    }
    ++place_;
    return out;
  }

  void escape(std::string& out) {
    const char letter = next();
    ++place_;
    switch (letter) {
      case 'b': out += '\b'; return;
      case 'f': out += '\f'; return;
      case 'n': out += '\n'; return;
      case 'r': out += '\r'; return;
      case 't': out += '\t'; return;
      case 'u': break;
      default: out += letter; return;
    }
    std::uint32_t code = hex();
    if (code >= 0xd800 && code < 0xdc00 && eats_word("\\u")) code = 0x10000 + ((code - 0xd800) << 10) + ((hex() - 0xdc00) & 0x3ff);
    append_utf8(out, code);
  }

  std::uint32_t hex() {
    std::uint32_t code = 0;
    for (int i = 0; i < 4; ++i, ++place_) {
      const auto digit = std::string_view("0123456789abcdef").find(static_cast<char>(std::tolower(static_cast<unsigned char>(next()))));
      if (digit == std::string_view::npos) wrong("no escape");
      code = code << 4 | static_cast<std::uint32_t>(digit);
    }
    return code;
  }

  static void append_utf8(std::string& out, std::uint32_t code) {
    if (code < 0x80) {
      out += static_cast<char>(code);
      return;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    const unsigned char first[] = {0xc0, 0xe0, 0xf0};
    out += static_cast<char>(first[more - 1] | code >> (6 * more));
    for (int i = more - 1; i >= 0; --i) out += static_cast<char>(0x80 | (code >> (6 * i) & 0x3f));
  }

  std::string_view text_;
  std::size_t place_ = 0;
};

inline Value parse(std::string_view text) { return Parser(text).document(); }

}  // namespace json

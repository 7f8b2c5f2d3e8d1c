// Padded base64 of the standard alphabet.

#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace base64 {

inline constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text of some bytes.
inline std::string encode(std::string_view data) {
  std::string text;
  for (std::size_t start = 0; start < data.size(); start += 3) {
    const auto group = data.substr(start, 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) bits = bits << 8 | (i < group.size() ? static_cast<unsigned char>(group[i]) : 0U);
    for (std::size_t i = 0; i < 4; ++i) text += i <= group.size() ? alphabet[bits >> (18 - 6 * i) & 63U] : '=';
  }
  return text;
}

/// The bytes of a text.
inline std::string decode(std::string_view text) {
  std::string data;
  std::uint32_t bits = 0;
  int held = 0;  // bits that wait for the rest of their byte
  for (const char digit : text) {
    if (digit == '=') break;
    const auto value = alphabet.find(digit);
    if (value == std::string_view::npos) throw std::runtime_error("no base64");
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      data += static_cast<char>(bits >> held & 0xffU);
    }
  }
  return data;
}

}  // namespace base64

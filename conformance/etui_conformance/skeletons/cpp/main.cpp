// An adapter of the Etui conformance suite, for a library in C++ (17 or newer).
//
// The suite starts this program once and asks it things: a JSON object a line on standard input, and for each an answer,
// a JSON object a line, on standard output. Standard error is yours: what you print there is shown beside a failure.
//
//     cmake -S . -B build && cmake --build build && etui-conformance smoke --adapter build/adapter
//     etui-conformance run --profile weights-reader --adapter build/adapter
//
// The adapter claims nothing yet, and so answers every question but `hello`, `reset` and `bye` with `unsupported`.
// It grows in this order, and each step turns checks from "not claimed" into "passed":
//
// 1. `decode`: call your library, answer with what it read, and claim it in `claimed_ops` and `hello`.
// 2. `validate`: call your library's full verification.
// 3. `encode` and `transcode`: call your library's writer.
//
// SPEC.md, annex P, says what each request and each answer holds. `json.hpp` and `base64.hpp` are there so that the
// adapter builds with nothing but a compiler; put nlohmann::json in their place if you like.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base64.hpp"
#include "json.hpp"

namespace fs = std::filesystem;
using json::Value;
using Fields = std::vector<std::pair<std::string, Value>>;

const std::vector<std::string> claimed_ops = {};  // decode, validate, encode, transcode: what you have written below
constexpr std::size_t inline_limit = 1U << 20U;  // bytes; larger data goes by file

/// Your library refuses the artifact, as SPEC.md chapter 20 says: throw this with its class and code.
struct Refusal {
  std::string error_class, code, at;
};

/// Your library does not have what is asked for.
struct Unsupported {
  std::string what;
};

/// Bytes that the suite sends: base64 or a file.
std::string bytes_of(const Value& data) {
  if (data["file"].is_null()) return base64::decode(data["data"].text);
  std::ifstream file(data["file"].text, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + data["file"].text);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// What the suite asks: each function takes a request and gives the fields of the answer `ok`.
class Adapter {
 public:
  /// Say who you are, and claim what you can do; nobody asks for what you do not claim.
  Fields hello(const Value& request) {
    if (request["protocol"].text.rfind("1.", 0) != 0) throw Unsupported{"protocol:" + request["protocol"].text};
    folder_ = request["folder"].text;
    const Value none = std::vector<Value>{};
    return {
        {"name", "my-etui"},
        {"version", "0.1"},
        {"language", "c++"},
        {"ops", std::vector<Value>(claimed_ops.begin(), claimed_ops.end())},
        {"areas", none},     // weights, config, training, optimizer, state, parts
        {"forms", none},     // packed, directory
        {"features", none},  // chunks, encoding.complex, encoding.packed4, encoding.quantized, …
        {"dtypes", none},    // float32, int8, …: those of SPEC.md chapter 2.1
        {"formats", none},
    };
  }

  /// Open an artifact and answer with what it holds: identity, profile, content, read.
  Fields decode(const Value& request) {
    const fs::path path = path_of(request["artifact"]);
    // Call your library here, for example:
    //     const auto model = my_etui::open(path);
    //     return {{"identity", model.identity()}, {"profile", …}, {"content", …}, {"read", …}};
    // and turn its exceptions into Refusal. A tensor is an object with dtype, shape, and the field that data_of gives
    // for its bytes.
    throw Unsupported{"op:decode of " + path.filename().string()};
  }

  /// Verify every byte of an artifact, or check one document.
  Fields validate(const Value& request) {
    if (request["document"].is_null()) throw Unsupported{"op:validate"};
    throw Unsupported{"op:validate of a document of " + std::to_string(bytes_of(request["data"]).size()) + " bytes"};
  }

  /// Forget everything: the next request must not find traces of those before.
  Fields reset(const Value&) { return {}; }

  /// The last request; the program ends behind it.
  Fields bye(const Value&) { return {}; }

  /// Bytes on their way to the suite, as a field of an answer.
  std::pair<std::string, Value> data_of(const std::string& data) {
    if (data.size() < inline_limit) return {"data", base64::encode(data)};
    return {"file", written(data).string()};
  }

 private:
  /// Where an artifact is: its folder, or its packed file, which is written if it came inline.
  fs::path path_of(const Value& artifact) {
    if (!artifact["directory"].is_null()) return artifact["directory"].text;
    const Value& packed = artifact["packed"];
    return packed["file"].is_null() ? written(bytes_of(packed)) : fs::path(packed["file"].text);
  }

  fs::path written(const std::string& data) {
    files_ += 1;
    const fs::path path = folder_ / ("adapter-" + std::to_string(files_) + ".bin");
    std::ofstream(path, std::ios::binary) << data;
    return path;
  }

  fs::path folder_;  // where files go between the suite and you; named by hello
  int files_ = 0;
};

/// The answer to a request, whatever happens.
Value answered(Adapter& adapter, const Value& request) {
  using Op = Fields (Adapter::*)(const Value&);
  static const std::map<std::string, Op> ops = {
      {"hello", &Adapter::hello}, {"decode", &Adapter::decode}, {"validate", &Adapter::validate},
      {"reset", &Adapter::reset}, {"bye", &Adapter::bye},
  };
  Fields answer;
  try {
    const std::string& name = request["op"].text;
    const bool always = name == "hello" || name == "reset" || name == "bye";
    const auto op = ops.find(name);
    if (op == ops.end() || !(always || std::count(claimed_ops.begin(), claimed_ops.end(), name))) throw Unsupported{"op:" + name};
    answer = (adapter.*op->second)(request);
    answer.emplace_back("result", "ok");
  } catch (const Refusal& refusal) {
    answer = {{"result", "reject"}, {"class", refusal.error_class}, {"code", refusal.code}, {"at", refusal.at}};
  } catch (const Unsupported& unsupported) {
    answer = {{"result", "unsupported"}, {"what", unsupported.what}};
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    answer = {{"result", "fault"}, {"message", error.what()}};
  }
  answer.emplace_back("id", request["id"]);
  return Value::object(std::move(answer));
}

/// Answer until the suite says bye, or is gone.
int main() {
  std::ios::sync_with_stdio(false);
  Adapter adapter;
  for (std::string line; std::getline(std::cin, line);) {
    if (line.empty()) continue;
    const Value request = json::parse(line);
    std::cout << json::dump(answered(adapter, request)) << std::endl;
    if (request["op"].text == "bye") break;
  }
  return 0;
}

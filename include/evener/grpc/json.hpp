// Takes a JSON object or array apart into the texts of its members, as they stand. Enough to hand a part of the service config
// on to gRPC's own parser without a JSON library; whether the text is valid JSON has been decided by the engine before. Of a
// text that is not valid it takes what can be told apart.
#ifndef EVENER_GRPC_JSON_HPP
#define EVENER_GRPC_JSON_HPP

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace evener::grpc::detail {

struct JsonMember {
  std::string_view name;   // without quotes, escapes left as they are
  std::string_view value;  // with quotes or brackets, if it has them
};

class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text) : text_(text) {}

  std::vector<JsonMember> Members() {
    std::vector<JsonMember> members;
    if (!Take('{')) return members;
    while (Peek() == '"') {
      const auto name = Value();
      if (name.size() < 2 || !Take(':')) break;
      const auto value = Value();
      members.push_back({name.substr(1, name.size() - 2), value});
      if (!Take(',')) break;
    }
    return members;
  }

  std::vector<std::string_view> Elements() {
    std::vector<std::string_view> elements;
    if (!Take('[')) return elements;
    while (Peek() != ']' && Peek() != '\0') {
      elements.push_back(Value());
      if (!Take(',')) break;
    }
    return elements;
  }

 private:
  static bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

  char Peek() {
    while (at_ < text_.size() && IsSpace(text_[at_])) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  bool Take(char c) {
    if (Peek() != c) return false;
    ++at_;
    return true;
  }

  // Steps over one value: a string, an object or array with all it holds, or a bare word.
  std::string_view Value() {
    Peek();
    const auto begin = at_;
    size_t depth = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (depth == 0 && (c == ',' || c == '}' || c == ']' || IsSpace(c))) break;
      if (c == '"') {
        SkipString();
        if (depth == 0) break;
        continue;
      }
      ++at_;
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && --depth == 0) break;
    }
    return text_.substr(begin, at_ - begin);
  }

  void SkipString() {
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
    }
    if (at_ < text_.size()) ++at_;
  }

  std::string_view text_;
  size_t at_ = 0;
};

// The value of an object's member; of several with that name the last one, as in gRPC.
inline std::optional<std::string_view> FindJsonMember(std::string_view object, std::string_view name) {
  std::optional<std::string_view> found;
  for (const auto& member : JsonScanner(object).Members()) {
    if (member.name == name) found = member.value;
  }
  return found;
}

}  // namespace evener::grpc::detail

#endif  // EVENER_GRPC_JSON_HPP

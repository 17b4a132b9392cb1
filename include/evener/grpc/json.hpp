// Finds one member of a JSON object's top level and gives its text as it stands. Enough to hand `methodConfig` on to gRPC's own
// parser without a JSON library; whether the text is valid JSON has been decided by the engine before.
#ifndef EVENER_GRPC_JSON_HPP
#define EVENER_GRPC_JSON_HPP

#include <cstddef>
#include <optional>
#include <string_view>

namespace evener::grpc::detail {

class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text) : text_(text) {}

  // The value of the last member of that name, since gRPC takes the last of duplicates; none when there is none.
  std::optional<std::string_view> Member(std::string_view name) {
    std::optional<std::string_view> found;
    if (!Take('{')) return found;
    while (Peek() == '"') {
      const auto key = Value();
      if (!Take(':')) break;
      const auto value = Value();
      if (key.size() >= 2 && key.substr(1, key.size() - 2) == name) found = value;
      if (!Take(',')) break;
    }
    return found;
  }

 private:
  char Peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || (text_[at_] >= '\t' && text_[at_] <= '\r'))) ++at_;
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
      if (depth == 0 && (c == ',' || c == '}' || c == ']')) break;
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
      if (text_[at_] == '\\') ++at_;
    }
    if (at_ < text_.size()) ++at_;
  }

  std::string_view text_;
  size_t at_ = 0;
};

inline std::optional<std::string_view> JsonMember(std::string_view object, std::string_view name) {
  return JsonScanner(object).Member(name);
}

}  // namespace evener::grpc::detail

#endif  // EVENER_GRPC_JSON_HPP

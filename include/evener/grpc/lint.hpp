// Tells what in the application's channel arguments is likely to hurt, such as keepalive pings that servers punish.
#ifndef EVENER_GRPC_LINT_HPP
#define EVENER_GRPC_LINT_HPP

#include <evener.h>

#include <string>
#include <string_view>
#include <vector>

#include "engine.hpp"
#include "json.hpp"

namespace evener::grpc::detail {

// A JSON string's text. Of what is escaped, characters beyond ASCII become '?': what is read here has none.
inline std::string JsonText(std::string_view quoted) {
  std::string text;
  if (quoted.size() < 2 || quoted.front() != '"') return text;
  quoted = quoted.substr(1, quoted.size() - 2);
  for (size_t at = 0; at < quoted.size(); ++at) {
    if (quoted[at] != '\\' || at + 1 == quoted.size()) {
      text += quoted[at];
      continue;
    }
    const char escaped = quoted[++at];
    if (escaped == 'u') at += 4;
    text += escaped == 'n' || escaped == 't' ? ' ' : escaped == 'u' ? '?' : escaped;
  }
  return text;
}

// `arguments` is a JSON object of gRPC's argument names; one line for each finding.
inline std::vector<std::string> LintArguments(const std::string& arguments) {
  const auto findings = ReadText([&](evener_text* out) {
    return evener_lint(EVENER_LINT_CHANNEL_ARGS, arguments.data(), arguments.size(), out);
  });
  std::vector<std::string> lines;
  for (const auto finding : JsonScanner(findings).Elements()) {
    const auto member = [&](std::string_view name) { return JsonText(FindJsonMember(finding, name).value_or("")); };
    lines.push_back("the argument " + member("place") + ": " + member("message") + " " + member("advice"));
  }
  return lines;
}

}  // namespace evener::grpc::detail

#endif  // EVENER_GRPC_LINT_HPP

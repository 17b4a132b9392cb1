// Other programs: the registries that tests run against, and their tools.
#ifndef EVENER_TESTS_PROCESS_HPP
#define EVENER_TESTS_PROCESS_HPP

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "check.hpp"

namespace evener_tests {

// Whether a folder is there and has a file whose name ends so.
inline bool Holds(const std::string& folder, const std::string& ending) {
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(folder, missing)) {
    if (entry.path().extension() == ending) return true;
  }
  return false;
}

// A folder of its own, gone with it.
class Scratch {
 public:
  Scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "evener-cpp-XXXXXX").string();
    CHECK(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::string File(const std::string& name) const { return (path_ / name).string(); }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return File(name);
  }

 private:
  std::filesystem::path path_;
};

inline std::string ReadFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// The child dies with this process, however that ends. What it prints goes to `output`.
inline pid_t Spawn(const std::vector<std::string>& command, const std::string& output) {
  std::vector<char*> arguments;
  for (const auto& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // it died before that
  const int file = open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(file, 1);
  dup2(file, 2);
  execv(arguments[0], arguments.data());
  _exit(127);
}

// A server that is killed and brought back.
class Process {
 public:
  explicit Process(std::vector<std::string> command) : command_(std::move(command)) {}
  ~Process() { Kill(); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // False, with what it printed on the standard error stream: it did not become ready.
  bool Start(const std::function<bool()>& is_ready) {
    child_ = Spawn(command_, scratch_.File("log"));
    const bool ready = Eventually([&] { return is_ready() || HasEnded(); }, std::chrono::seconds(30)) && child_ > 0 && is_ready();
    if (!ready) std::fprintf(stderr, "%s\n%s\n", command_[0].c_str(), ReadFile(scratch_.File("log")).c_str());
    return ready;
  }
  void Kill() {
    if (child_ <= 0) return;
    kill(child_, SIGKILL);
    waitpid(std::exchange(child_, 0), nullptr, 0);
  }
  void Pause() const { kill(child_, SIGSTOP); }
  void Resume() const { kill(child_, SIGCONT); }

 private:
  bool HasEnded() {
    if (child_ <= 0 || waitpid(child_, nullptr, WNOHANG) == 0) return child_ <= 0;
    child_ = 0;
    return true;
  }

  const std::vector<std::string> command_;
  const Scratch scratch_;
  pid_t child_ = 0;
};

// Runs a tool to its end; what it printed, and a failed check if it failed.
inline std::string Output(const std::vector<std::string>& command) {
  const Scratch scratch;
  const std::string log = scratch.Write("log", "");
  int status = 0;
  CHECK(waitpid(Spawn(command, log), &status, 0) > 0);
  const auto text = ReadFile(log);
  if (status != 0) Fail(__FILE__, __LINE__, command[0] + " failed: " + text);
  return text;
}

inline int FreePort() {
  const int socket_number = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  CHECK(bind(socket_number, any, length) == 0 && getsockname(socket_number, any, &length) == 0);
  close(socket_number);
  return ntohs(address.sin_port);
}

// One request to 127.0.0.1; the answer with its head, empty where there is none.
inline std::string Http(int port, const std::string& method, const std::string& path, const std::string& body = {}) {
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  timeval patience{5, 0};
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::string answer;
  if (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    const std::string request = method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " +
                                std::to_string(body.size()) + "\r\n\r\n" + body;
    char bytes[4096];
    if (send(connection, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
      for (ssize_t read; (read = recv(connection, bytes, sizeof bytes, 0)) > 0;) answer.append(bytes, static_cast<size_t>(read));
    }
  }
  close(connection);
  return answer;
}

}  // namespace evener_tests

#endif  // EVENER_TESTS_PROCESS_HPP

// What a registry is asked with, for the C++ headers that take it.
#ifndef EVENER_CREDENTIALS_HPP
#define EVENER_CREDENTIALS_HPP

#include "../evener.h"

#include <cstddef>
#include <string>

namespace evener {

// Empty texts are not given. Files are read again when they change, within a minute. What is not given is taken from the registry's
// usual environment variables (CONSUL_HTTP_TOKEN and the like).
struct Credentials {
  // A user and his password (etcd; HTTP basic authentication for Consul), or a file that holds the password.
  std::string user;
  std::string password;
  std::string password_file;
  // A token (Consul's ACL token, a bearer token for Kubernetes), or a file that holds it.
  std::string token;
  std::string token_file;
  // TLS, also where none of these files (PEM) is given.
  bool tls = false;
  // Certificates to trust; empty trusts the system's.
  std::string ca_file;
  // The client's certificate chain and its key.
  std::string cert_file;
  std::string key_file;
  // The name to check the server's certificate against, where it is not the host's.
  std::string server_name;
};

// The C form. It borrows the texts.
inline evener_credentials borrow(const Credentials& credentials) {
  const auto lend = [](const std::string& text, const char*& data, std::size_t& length) {
    data = text.empty() ? nullptr : text.data();
    length = text.size();
  };
  evener_credentials borrowed{};
  borrowed.struct_size = sizeof borrowed;
  borrowed.tls = credentials.tls ? 1 : 0;
  lend(credentials.user, borrowed.user, borrowed.user_len);
  lend(credentials.password, borrowed.password, borrowed.password_len);
  lend(credentials.password_file, borrowed.password_file, borrowed.password_file_len);
  lend(credentials.token, borrowed.token, borrowed.token_len);
  lend(credentials.token_file, borrowed.token_file, borrowed.token_file_len);
  lend(credentials.ca_file, borrowed.ca_file, borrowed.ca_file_len);
  lend(credentials.cert_file, borrowed.cert_file, borrowed.cert_file_len);
  lend(credentials.key_file, borrowed.key_file, borrowed.key_file_len);
  lend(credentials.server_name, borrowed.server_name, borrowed.server_name_len);
  return borrowed;
}

}  // namespace evener

#endif  // EVENER_CREDENTIALS_HPP

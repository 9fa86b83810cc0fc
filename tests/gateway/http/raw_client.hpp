// A client that sends exactly the bytes it is told to, for what no well-behaved one would send.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace dkv::testing {

struct Response {
  int status = 0;                              // 0: none came
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;

  std::string header(const std::string& lower_case_name) const {
    const auto found = headers.find(lower_case_name);
    return found == headers.end() ? "" : found->second;
  }
};

/// One connection. Reads give up after 10 s: then a test has failed.
class RawClient {
 public:
  /// `receive_buffer_bytes`: what the system holds for it unread, when not 0.
  explicit RawClient(std::uint16_t port, int receive_buffer_bytes = 0);
  ~RawClient();
  RawClient(RawClient&& other) noexcept;
  RawClient(const RawClient&) = delete;

  /// False once the server has closed.
  bool send(std::string_view bytes);
  void end_sending();
  /// The next response, skipping "100 Continue". `has_body`: false for the answer to a HEAD.
  Response receive(bool has_body = true);
  /// Takes so many bytes. False when the server has closed before.
  bool receive_bytes(std::size_t bytes);
  /// The bytes that come until the server closes.
  std::string receive_all();
  /// Whether the server closes (in order, or by reset) without sending anything more.
  bool closes();
  /// Waits for the first line of a response, or of an event stream, and takes it.
  std::optional<std::string> line(std::string_view ending = "\r\n");
  /// Waits for an interim "100 Continue".
  bool receives_continue();

 private:
  bool fill();

  int fd_ = -1;
  std::string buffer_;
};

/// A whole request with Host and, for a body, Content-Length. `headers`: lines with CRLF.
std::string request(std::string_view method, std::string_view target, std::string_view body = "",
                    std::string_view headers = "");

}  // namespace dkv::testing

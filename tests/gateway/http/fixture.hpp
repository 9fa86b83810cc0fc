// A server on a free port of 127.0.0.1, before a FakeBackend.
#pragma once

#include <gtest/gtest.h>
#include <memory>

#include "gateway/http/server.hpp"
#include "tests/gateway/http/fake_backend.hpp"
#include "tests/gateway/http/raw_client.hpp"

namespace dkv::testing {

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    options.port = 0;
    options.node_name = "delhi";
    options.threads = 8;
  }
  ~ServerTest() override { backend.release(); }

  /// Starts it with `options` on first use.
  HttpServer& server() {
    if (!server_) {
      server_ = std::make_unique<HttpServer>(options, backend);
      const auto started = server_->start();
      EXPECT_TRUE(started) << started.error().message;
    }
    return *server_;
  }
  RawClient connect() { return RawClient(server().port()); }
  /// On a connection of its own.
  Response ask(std::string_view method, std::string_view target, std::string_view body = "",
               std::string_view headers = "") {
    return ask_raw(request(method, target, body, headers), method != "HEAD");
  }
  Response ask_raw(std::string_view bytes, bool has_body = true) {
    auto client = connect();
    client.send(bytes);
    return client.receive(has_body);
  }

  HttpServerOptions options;
  FakeBackend backend;

 private:
  std::unique_ptr<HttpServer> server_;
};

}  // namespace dkv::testing

// Clients of the node's own cluster, for requests whose keys live on other nodes too. As many as are used at
// the same time, up to a limit; who finds none free waits, but only a few do: the others' threads are wanted.
#pragma once

#include <condition_variable>
#include <mutex>
#include <vector>

#include "gateway/client/client.hpp"

namespace dkv {

class ClientPool {
 public:
  /// Gets of one request find `most_value_bytes` at most, together.
  ClientPool(ClientOptions options, std::size_t most, std::size_t most_value_bytes)
      : options_(std::move(options)), most_(most), most_value_bytes_(most_value_bytes) {}

  /// One result for each operation; overloaded when no client becomes free within the deadline, or too many
  /// wait for one already: nothing was done then. From any thread, many at once.
  std::vector<OperationResult> execute(const rpc::Request& request, std::shared_ptr<Session> session);
  Result<ScanResult> scan(const ScanOptions& options);
  /// Nobody waits for a client any more.
  void stop();

 private:
  /// What `call` returns of a client, or nothing when none became free.
  template <class Call>
  auto with_client(const Call& call) -> std::optional<decltype(call(std::declval<Client&>()))>;
  std::optional<Client> take();
  void give_back(std::optional<Client> client);

  const ClientOptions options_;
  const std::size_t most_;
  const std::size_t most_value_bytes_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<Client> free_;
  std::size_t made_ = 0;
  std::size_t waiting_ = 0;
  bool stopped_ = false;
};

}  // namespace dkv

#include "gateway/client/client.hpp"

#include <algorithm>
#include <map>

#include "gateway/client/dispatcher.hpp"
#include "messages/limits.hpp"

namespace dkv {

using client::Clock;
using client::Time;

namespace {
// So that a clock's range is enough for any time-out.
constexpr std::chrono::milliseconds kLongestWait = std::chrono::hours(24 * 365);

/// Records that a shard is asked for beyond its share of a page.
constexpr std::size_t kScanSlack = 8;
constexpr std::chrono::milliseconds kScanTry{1'000};
constexpr std::chrono::milliseconds kScanPause{25};

bool is_worth_another_try(Errc code) { return code == Errc::unavailable || code == Errc::overloaded; }

/// The primary; or, where any copy may answer, one after the other.
NodeId reader_of(const ShardInfo& shard, ReadMode read, std::size_t turn) {
  const std::size_t place = read == ReadMode::replica ? (turn + 1) % (shard.replicas.size() + 1) : 0;
  return place == 0 ? shard.primary : shard.replicas[place - 1];
}

rpc::Request scan_of(ShardId shard, const ScanOptions& options, const KeyRange& range, std::size_t limit) {
  auto scan = std::make_shared<rpc::Scan>();
  scan->shard = shard;
  scan->from = options.reverse ? range.high : range.low;
  scan->to = options.reverse ? range.low : range.high;
  scan->down = options.reverse;
  scan->keys_only = options.keys_only;
  scan->limit = std::min(kMaxScanItems, limit);
  rpc::Request request;
  request.type = rpc::Type::scan;
  request.read = options.read;
  request.scan = std::move(scan);
  if (options.session) request.session = std::make_shared<const Session>(*options.session);
  return request;
}

template <class Body>
Result<Body> body_of(Result<rpc::Reply> answer) {
  if (!answer) return answer.error();
  if (auto* body = std::get_if<Body>(&answer->body)) return std::move(*body);
  return Error{Errc::internal, "the node answered something else than was asked"};
}
}  // namespace

Client::Client(ClientOptions options)
    : deadline_(options.deadline), dispatcher_(std::make_unique<client::Dispatcher>(std::move(options))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

OperationResult Client::run(const Operation& operation, CallOptions options) {
  return std::move(execute({&operation, 1}, std::move(options)).front());
}

Result<GetResult> Client::get(std::string_view key, CallOptions options) {
  OperationResult result = run({OpCode::get, key, {}}, std::move(options));
  if (result.code != Errc::ok) return Error{result.code, std::move(result.message)};
  return GetResult{std::move(result.value), result.version, result.ttl_ms};
}

Result<PutResult> Client::put(std::string_view key, std::string_view value, Condition condition, Ttl ttl,
                              CallOptions options) {
  OperationResult result = run({OpCode::put, key, value, true, condition, 0, ttl}, std::move(options));
  if (result.code != Errc::ok) return Error{result.code, std::move(result.message)};
  return PutResult{result.version, result.created};
}

Result<RemoveResult> Client::remove(std::string_view key, Condition condition, CallOptions options) {
  OperationResult result = run({OpCode::remove, key, {}, false, condition}, std::move(options));
  if (result.code != Errc::ok) return Error{result.code, std::move(result.message)};
  return RemoveResult{result.version};
}

Result<TouchResult> Client::touch(std::string_view key, Ttl ttl, CallOptions options) {
  OperationResult result = run({OpCode::touch, key, {}, false, {}, 0, ttl}, std::move(options));
  if (result.code != Errc::ok) return Error{result.code, std::move(result.message)};
  return TouchResult{result.version};
}

Result<IncrementResult> Client::increment(std::string_view key, std::int64_t amount, CallOptions options) {
  OperationResult result = run({OpCode::increment, key, {}, false, {}, amount}, std::move(options));
  if (result.code != Errc::ok) return Error{result.code, std::move(result.message)};
  const auto number = parse_counter(result.value);
  if (!number) return Error{Errc::unknown_outcome, "the node answered an increment with no number"};
  return IncrementResult{*number, result.version};
}

std::vector<OperationResult> Client::execute(std::span<const Operation> operations, CallOptions options) {
  auto completion = wait(submit(operations, std::move(options)));
  DKV_ASSERT(completion.has_value());
  return std::move(completion->results);
}

std::vector<OperationResult> Client::execute_atomically(std::span<const Operation> operations,
                                                        CallOptions options) {
  auto completion = wait(submit_atomically(operations, std::move(options)));
  DKV_ASSERT(completion.has_value());
  return std::move(completion->results);
}

std::vector<OperationResult> Client::execute_request(const rpc::Request& request,
                                                     std::shared_ptr<Session> session,
                                                     std::size_t most_value_bytes) {
  CallOptions options(request.read);
  options.most_value_bytes = most_value_bytes;
  options.ack = request.ack;
  options.session = std::move(session);
  if (request.client_id != 0 && !request.operations.empty())
    options.once = {request.client_id, request.atomic ? request.number : request.operations.front().number};
  return request.atomic ? execute_atomically(request.operations, std::move(options))
                        : execute(request.operations, std::move(options));
}

Ticket Client::submit_atomically(std::span<const Operation> operations, CallOptions options) {
  return dispatcher_->submit(operations, std::move(options), true);
}

Ticket Client::submit(std::span<const Operation> operations, CallOptions options) {
  return dispatcher_->submit(operations, std::move(options));
}

void Client::flush() { dispatcher_->flush(); }

Result<Completion> Client::wait_any(std::chrono::milliseconds timeout) {
  Completion completion;
  if (auto found = wait_any(timeout, completion); !found) return found.error();
  return completion;
}

Result<void> Client::wait_any(std::chrono::milliseconds timeout, Completion& completion) {
  if (dispatcher_->take_any(completion)) return {};  // without a look at the clock
  const Time until = Clock::now() + std::min(timeout, kLongestWait);
  for (bool is_first = true;; is_first = false) {
    if (dispatcher_->take_any(completion)) return {};
    if (!dispatcher_->has_pending()) return Error{Errc::bad_request, "nothing was submitted"};
    if (!is_first && Clock::now() >= until) {
      return Error{Errc::unavailable, "nothing was finished in this time"};
    }
    dispatcher_->turn(until);
  }
}

Result<Completion> Client::wait(Ticket ticket) {
  dispatcher_->flush();
  while (dispatcher_->is_pending(ticket)) dispatcher_->turn(Time::max());
  if (auto completion = dispatcher_->take(ticket)) return std::move(*completion);
  return Error{Errc::bad_request, "no such ticket, or it was waited for already"};
}

Result<rpc::Reply> Client::ask(const std::string& endpoint, rpc::Type type,
                               std::shared_ptr<const rpc::Control> control) {
  rpc::Request request;
  request.type = type;
  request.control = std::move(control);
  return std::move(dispatcher_->ask_each({{endpoint, std::move(request)}}, Clock::now() + deadline_).front());
}

Result<TopologyPtr> Client::topology() {
  const Time until = Clock::now() + deadline_;
  while (!dispatcher_->topology()) {
    if (Clock::now() >= until)
      return Error{Errc::unavailable, "no node told us the topology: " + dispatcher_->last_problem()};
    if (!dispatcher_->topology_wanted()) dispatcher_->want_topology();
    dispatcher_->turn(until);
  }
  return dispatcher_->topology();
}

Result<ScanResult> Client::scan(const ScanOptions& options) {
  if (options.limit == 0 || options.limit > kMaxScanItems) {
    return Error{Errc::bad_request, "the limit of a scan must be from 1 to " + std::to_string(kMaxScanItems)};
  }
  const Time until = Clock::now() + deadline_;
  KeyRange range = range_of(options);
  ScanResult result;
  std::size_t bytes = 0;
  while (!range.empty() && result.items.size() < options.limit && bytes < kScanPageBytes) {
    const std::size_t before = result.items.size();
    const std::size_t wanted = options.limit - result.items.size();
    auto pages = pages_of(options, range, wanted, until);
    // What there is already is a page, if a shorter one.
    if (!pages && !result.items.empty()) break;
    if (!pages) return pages.error();
    merge_pages(std::move(*pages), options.reverse, wanted, range, result.items);
    for (std::size_t i = before; i < result.items.size(); ++i)
      bytes += result.items[i].key.size() + result.items[i].value.size();
    // What has been passed is in the cursor, be it only removed keys.
    if (Clock::now() >= until) break;
  }
  if (!range.empty()) result.cursor = options.reverse ? range.high : range.low;
  return result;
}

/// Of every shard, the beginning of what it has in the range.
Result<std::vector<rpc::ScanReply>> Client::pages_of(const ScanOptions& options, const KeyRange& range,
                                                     std::size_t wanted, Time until) {
  std::map<ShardId, rpc::ScanReply> pages;
  for (std::size_t tries = 0;; ++tries) {
    const auto known = topology();
    if (!known) return known.error();
    std::vector<client::Dispatcher::Question> questions;
    std::vector<ShardId> asked;
    for (const ShardInfo& shard : (*known)->shards) {
      if (pages.contains(shard.id)) continue;
      // Keys are spread evenly: about so many of each shard, so that few are read for nothing.
      const std::size_t share = wanted / (*known)->shards.size();
      rpc::Request request = scan_of(shard.id, options, range, share + share / 4 + kScanSlack);
      questions.push_back(
          {(*known)->find_node(reader_of(shard, options.read, tries))->rpc, std::move(request)});
      asked.push_back(shard.id);
    }
    std::optional<Error> problem;
    auto answers = dispatcher_->ask_each(std::move(questions), std::min(until, Clock::now() + kScanTry));
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (options.session && answers[i] && answers[i]->session) options.session->take(*answers[i]->session);
      auto page = body_of<rpc::ScanReply>(std::move(answers[i]));
      if (page && !page->moved) {
        pages.emplace(asked[i], std::move(*page));
      } else {
        problem = page ? Error{Errc::unavailable, "the shard kept being moved"} : page.error();
        if (!is_worth_another_try(problem->code)) return *problem;
      }
    }
    if (!problem) break;
    if (Clock::now() >= until) return *problem;
    dispatcher_->want_topology();
    const Time next_try = std::min(until, Clock::now() + kScanPause);
    while (Clock::now() < next_try) dispatcher_->turn(next_try);
  }
  std::vector<rpc::ScanReply> all;
  for (auto& [shard, page] : pages) all.push_back(std::move(page));
  return all;
}

Result<NodeStatus> Client::status(const std::string& endpoint) {
  return std::move(status(std::span(&endpoint, 1)).front());
}

std::vector<Result<NodeStatus>> Client::status(std::span<const std::string> endpoints) {
  rpc::Request request;
  request.type = rpc::Type::status;
  std::vector<client::Dispatcher::Question> questions;
  for (const std::string& endpoint : endpoints) questions.push_back({endpoint, request});
  std::vector<Result<NodeStatus>> statuses;
  for (auto& answer : dispatcher_->ask_each(std::move(questions), Clock::now() + deadline_))
    statuses.push_back(body_of<NodeStatus>(std::move(answer)));
  return statuses;
}

Result<TopologyPtr> Client::topology_of(const std::string& endpoint) {
  auto reply = body_of<rpc::TopologyReply>(ask(endpoint, rpc::Type::topology));
  if (!reply) return reply.error();
  dispatcher_->on_topology(*reply);
  return topology();
}

Result<std::string> Client::control(const std::string& endpoint, rpc::Control control) {
  auto reply = body_of<rpc::ControlReply>(
      ask(endpoint, rpc::Type::control, std::make_shared<const rpc::Control>(std::move(control))));
  if (!reply) return reply.error();
  return std::move(reply->text);
}

}  // namespace dkv

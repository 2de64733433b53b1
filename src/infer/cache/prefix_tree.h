#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "infer/cache/page_pool.h"
#include "infer/cache/prefix_key.h"

namespace fathom {

// What is cached, by tokens: a tree whose edges are pages. A node is the page of the tokens that it
// adds to its parent's; nodes of a whole page have children, those of a part of one are leaves.
// Tokens are compared, never hashes of them. Every salt has a tree of its own, so that nobody can
// find out (by time or by count) what another has asked.
//
// The tree holds one reference of each of its pages. A page without any other is evictable, the
// least recently used leaf first; since whoever uses a page uses all pages before it, an evictable
// node has evictable children only, and what is counted as evictable can all be evicted.
class PrefixTree {
 public:
  struct Node {
    Node* parent = nullptr;  // null: a root
    int32_t page = -1;       // a root has none
    std::vector<int32_t> tokens;
    // Ordered by tokens, so that the one that agrees longest with a text is a neighbour of where
    // the text would be. The keys view the children's tokens.
    struct Less {
      bool operator()(std::span<const int32_t> a, std::span<const int32_t> b) const;
    };
    std::map<std::span<const int32_t>, std::unique_ptr<Node>, Less> children;
    uint64_t used = 0;             // when, by the tree's clock
    std::optional<PrefixKey> key;  // of whole pages, once somebody asked
  };

  PrefixTree(PagePool& pool, int64_t page_tokens) : pool_(pool), page_tokens_(page_tokens) {}

  // The root of a salt's tree, which stays as long as it is held.
  Node* HoldRoot(const std::string& salt);
  void DropRoot(Node* root);
  static const std::string& SaltOf(const Node* root);

  // The child with exactly these tokens; null when there is none.
  Node* Find(Node* parent, std::span<const int32_t> tokens) const;
  // The child that has the most tokens in common with this text, from the first on, and how many;
  // null and 0 when none has any.
  std::pair<Node*, int64_t> FindLongest(Node* parent, std::span<const int32_t> tokens) const;

  // Adds a child; the tree takes a reference of `page`. The child must not exist.
  Node* Insert(Node* parent, std::span<const int32_t> tokens, int32_t page);
  // A leaf goes, and the tree's reference of its page.
  void Remove(Node* leaf);

  // A reference of a node's page, taken and given back by its users.
  void Pin(Node* node);
  void Unpin(Node* node);

  // Nodes whose pages nobody uses.
  int64_t evictable() const { return evictable_; }
  int64_t nodes() const { return nodes_; }
  // Frees the page of the least recently used leaf that nobody uses; false when there is none.
  bool EvictOne();

  // Aborts when counts, order or links are not what they have to be. For tests.
  void CheckInvariants() const;

 private:
  struct Root : Node {
    std::string salt;
    int64_t holders = 0;
  };

  bool IsEvictable(const Node* node) const { return pool_.references(node->page) == 1; }
  // Brings the set of leaves up to date after the node's references or children changed.
  void Update(Node* node, bool was_evictable);
  void DropRootIfUnused(Node* root);
  void CheckNode(const Node& node, int64_t* nodes, int64_t* evictable, int64_t* leaves) const;

  PagePool& pool_;
  int64_t page_tokens_;
  std::map<std::string, std::unique_ptr<Root>> roots_;
  std::set<std::pair<uint64_t, Node*>> leaves_;  // evictable ones, by last use
  uint64_t clock_ = 0;
  int64_t evictable_ = 0, nodes_ = 0;
};

}  // namespace fathom

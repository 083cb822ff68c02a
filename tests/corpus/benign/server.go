// A small HTTP server that checks passwords or stores uploads: `goserver MODE PORT`.
// As server.py; load.py is the client of both. It listens on loopback until it is killed.
package main

import (
	"crypto/ed25519"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"
	"log"
	"net/http"
	"os"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/pbkdf2"
	"golang.org/x/crypto/scrypt"
	"golang.org/x/crypto/sha3"
)

// derived makes a verifier that is a derived key.
func derived(derive func([]byte) []byte) func([]byte) bool {
	stored := derive([]byte("password"))
	return func(password []byte) bool { return subtle.ConstantTimeCompare(stored, derive(password)) == 1 }
}

// check makes the check of passwords of a mode; nil if it has none.
func check(mode string) func([]byte) bool {
	salt := []byte("salt of 16 bytes")
	switch mode {
	case "argon2id":
		return derived(func(p []byte) []byte { return argon2.IDKey(p, salt, 2, 19456, 1, 32) })
	case "argon2i":
		return derived(func(p []byte) []byte { return argon2.Key(p, salt, 3, 32<<10, 4, 32) })
	case "bcrypt":
		stored, err := bcrypt.GenerateFromPassword([]byte("password"), 10)
		if err != nil {
			log.Fatal(err)
		}
		return func(p []byte) bool { return bcrypt.CompareHashAndPassword(stored, p) == nil }
	case "scrypt":
		return derived(func(p []byte) []byte { k, _ := scrypt.Key(p, salt, 1<<14, 8, 1, 32); return k })
	case "pbkdf2":
		return derived(func(p []byte) []byte { return pbkdf2.Key(p, salt, 100000, 32, sha256.New) })
	case "ed25519":
		public, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			log.Fatal(err)
		}
		signature := ed25519.Sign(private, []byte("password"))
		// As many as a message of a federated server may carry.
		return func(p []byte) bool {
			good := true
			for n := 0; n < 100; n++ {
				good = ed25519.Verify(public, p, signature)
			}
			return good
		}
	}
	return nil
}

// digest makes the digest of uploads of a mode.
func digest(mode string) hash.Hash {
	switch mode {
	case "blake2b":
		h, _ := blake2b.New256(nil)
		return h
	case "sha512":
		return sha512.New()
	case "sha3":
		return sha3.New256()
	case "md5":
		return md5.New()
	}
	return sha256.New()
}

func main() {
	mode, port := os.Args[1], os.Args[2]
	good := check(mode)
	http.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		var login struct{ Password string }
		if json.NewDecoder(r.Body).Decode(&login) != nil || !good([]byte(login.Password)) {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	http.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		h := digest(mode)
		io.Copy(h, r.Body)
		io.WriteString(w, hex.EncodeToString(h.Sum(nil)))
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}

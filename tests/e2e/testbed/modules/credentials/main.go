// Command credentials makes the keys and certificates of a throw-away cluster, so that the test bed
// needs no openssl.
//
//	credentials init DIRECTORY
//	    ca.{crt,key}, apiserver.{crt,key} for 127.0.0.1, service-account.{key,pub}
//	credentials client DIRECTORY USER [GROUP...]
//	    prints a client key and certificate of that user, signed by the authority in DIRECTORY
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// backdate keeps certificates valid for clients whose clock a test has set back.
const (
	backdate = 24 * time.Hour
	lifetime = 365 * 24 * time.Hour
)

var errUsage = errors.New("usage: credentials init DIRECTORY | client DIRECTORY USER [GROUP...]")

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "credentials:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	switch {
	case len(arguments) == 2 && arguments[0] == "init":
		return initialise(arguments[1])
	case len(arguments) >= 3 && arguments[0] == "client":
		return client(arguments[1], arguments[2], arguments[3:])
	default:
		return errUsage
	}
}

func initialise(directory string) error {
	authorityKey, err := newKey()
	if err != nil {
		return err
	}
	authority := certificate(pkix.Name{CommonName: "testbed"})
	authority.IsCA = true
	authority.BasicConstraintsValid = true
	authority.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	authorityBytes, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		return err
	}
	if err := write(directory, "ca", authorityKey, authorityBytes); err != nil {
		return err
	}

	servingKey, err := newKey()
	if err != nil {
		return err
	}
	serving := certificate(pkix.Name{CommonName: "kube-apiserver"})
	serving.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	serving.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)}
	serving.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	servingBytes, err := x509.CreateCertificate(rand.Reader, serving, authority, servingKey.Public(), authorityKey)
	if err != nil {
		return err
	}
	if err := write(directory, "apiserver", servingKey, servingBytes); err != nil {
		return err
	}

	tokenKey, err := newKey()
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(tokenKey.Public())
	if err != nil {
		return err
	}
	private, err := keyPEM(tokenKey)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(directory, "service-account.key"), private, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(directory, "service-account.pub"), encode("PUBLIC KEY", public), 0o644)
}

func client(directory, user string, groups []string) error {
	authority, authorityKey, err := readAuthority(directory)
	if err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	template := certificate(pkix.Name{CommonName: user, Organization: groups})
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	signed, err := x509.CreateCertificate(rand.Reader, template, authority, key.Public(), authorityKey)
	if err != nil {
		return err
	}
	private, err := keyPEM(key)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(append(private, encode("CERTIFICATE", signed)...))
	return err
}

func readAuthority(directory string) (*x509.Certificate, crypto.Signer, error) {
	certificateBytes, err := readPEM(directory, "ca.crt")
	if err != nil {
		return nil, nil, err
	}
	keyBytes, err := readPEM(directory, "ca.key")
	if err != nil {
		return nil, nil, err
	}
	authority, err := x509.ParseCertificate(certificateBytes)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(keyBytes)
	if err != nil {
		return nil, nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("ca.key holds a %T, which cannot sign", key)
	}
	return authority, signer, nil
}

func readPEM(directory, name string) ([]byte, error) {
	content, err := os.ReadFile(filepath.Join(directory, name))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", name)
	}
	return block.Bytes, nil
}

func newKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func certificate(subject pkix.Name) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      subject,
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func write(directory, name string, key *ecdsa.PrivateKey, signed []byte) error {
	private, err := keyPEM(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(directory, name+".key"), private, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(directory, name+".crt"), encode("CERTIFICATE", signed), 0o644)
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return encode("PRIVATE KEY", encoded), nil
}

func encode(kind string, content []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
}
